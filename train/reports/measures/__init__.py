"""The pictures of measures: each a function of a record and its per-example arrays.

A new one is a file here and a line in `PICTURES`. It reads only what the record and the
arrays hold, so that it can be drawn again at any time, without the model.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from train.reports.measures import (
    calibration,
    classes,
    corruptions,
    features,
    margins,
    ood,
)

Draw = Callable[[Mapping[str, Any], Mapping[str, np.ndarray]], Figure]

PICTURES: dict[str, Draw] = {
    "calibration": calibration.draw,
    "classes": classes.draw,
    "corruptions": corruptions.draw,
    "features": features.draw,
    "margins": margins.draw,
    "ood": ood.draw,
}
