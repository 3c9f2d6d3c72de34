"""Types that the rooms of `train` share."""

import numpy as np

# uint8 `image` [B, H, W, K] and int32 `label` [B], and what a pipeline adds to them.
Batch = dict[str, np.ndarray]
