"""From the bin of a magnitude to the value of an operation, as torchvision has it.

Values are spaced evenly from bin 0, where an operation changes little or nothing, to
the last bin. For a signed operation the distance from the value of bin 0 can be
negative. AutoAugment has 10 bins, RandAugment by default 31.
"""

from typing import NamedTuple

import numpy as np

from train.data.augment import policy


class Span(NamedTuple):
    first: float  # value of bin 0
    last: float  # value of the last bin
    signed: bool = False


SPANS = {
    "Identity": Span(0, 0),
    "ShearX": Span(0, 0.3, signed=True),  # pixels for each pixel
    "ShearY": Span(0, 0.3, signed=True),
    "TranslateX": Span(0, 150 / 331, signed=True),  # share of the side
    "TranslateY": Span(0, 150 / 331, signed=True),
    "Rotate": Span(0, 30, signed=True),  # degrees
    "Brightness": Span(1, 1.9, signed=True),  # factor
    "Color": Span(1, 1.9, signed=True),
    "Contrast": Span(1, 1.9, signed=True),
    "Sharpness": Span(1, 1.9, signed=True),
    "Posterize": Span(8, 4),  # bits
    "Solarize": Span(255, 0),  # level
    "AutoContrast": Span(0, 0),
    "Equalize": Span(0, 0),
    "Invert": Span(0, 0),
}
_FIRST, _LAST, _SIGNED = np.array([SPANS[name] for name in policy.NAMES]).T


def values_of(
    operations: np.ndarray, bins: np.ndarray, negative: np.ndarray, *, num_bins: int
) -> np.ndarray:
    """The values of operations for the given bins.

    Args:
      operations: positions in `policy.NAMES`, any shape.
      bins: integers from 0 to `num_bins` - 1, of the same shape or a scalar.
      negative: of the same shape; True for a negative distance, which only signed
        operations have.
      num_bins: at least 2.

    Example:
      >>> rotate = policy.indices(["Rotate", "Rotate"])
      >>> values_of(rotate, np.array([3, 9]), np.array([False, True]), num_bins=10)
      array([ 10., -30.])
    """
    first, last, signed = _FIRST[operations], _LAST[operations], _SIGNED[operations]
    # Multiplied before it is divided, so that whole thresholds stay whole numbers.
    distance = (last - first) * bins / (num_bins - 1)
    distance = np.where(negative & (signed != 0), -distance, distance)
    whole = operations == policy.NAMES.index("Posterize")
    return np.where(whole, np.rint(first + distance), first + distance)
