"""Types that the rooms of `train` share."""

from typing import Any

import numpy as np

# A locked ml_collections ConfigDict, whose fields (configs/base.py) no checker knows.
Config = Any
# uint8 `image` [B, H, W, K] and int32 `label` [B], and what a pipeline adds to them.
Batch = dict[str, np.ndarray]
