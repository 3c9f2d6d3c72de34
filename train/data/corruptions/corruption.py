"""The form of a corruption, and the random numbers that it draws."""

import zlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

SEVERITIES = (1, 2, 3, 4, 5)
SIDES = (32, 224)  # pixels that the two tables of parameters are made for
SMALLEST = 8  # pixels of the shorter side; smaller images have nothing to corrupt

# A generator for each image of a batch.
Generators = Sequence[np.random.Generator]
# Maps images [B, H, W, K] in [0, 1], their generators, the scale of lengths and the
# parameters of a severity to the damaged images, which may leave [0, 1].
Operation = Callable[..., np.ndarray]


class Corruption(NamedTuple):
    """A corruption.

    Attributes:
      name: as the published files name it.
      family: "noise", "blur", "weather", "digital", or "extra" for the four that the
        mean over the fifteen common ones leaves out.
      operation: damages a batch.
      small: the parameters of severities 1 to 5 for images of 32 pixels, those that
        CIFAR-10-C was made with.
      large: the same for 224 pixels, those of ImageNet-C.
      needs_colour: whether a grey image would stay as it is.
    """

    name: str
    family: str
    operation: Operation
    small: tuple[Any, ...]
    large: tuple[Any, ...]
    needs_colour: bool = False

    def parameters(self, severity: int, side: int) -> tuple[Any, ...]:
        """The arguments of the operation for images of this shorter side."""
        table = self.small if is_small(side) else self.large
        found = table[severity - 1]
        return found if isinstance(found, tuple) else (found,)


def is_small(side: int) -> bool:
    """Whether a side is closer to 32 than to 224 pixels, on a logarithmic scale.

    >>> [is_small(side) for side in (8, 28, 32, 64, 96, 224)]
    [True, True, True, True, False, False]
    """
    return side**2 < SIDES[0] * SIDES[1]


def scale(side: int) -> float:
    """By what the lengths in a table (pixels) are multiplied for another side.

    Lengths grow with the image. Below 32 pixels they stay as they are: a blur of a
    small part of a pixel would do nothing.

    >>> [scale(side) for side in (8, 28, 32, 64, 224, 448)]
    [1.0, 1.0, 1.0, 2.0, 1.0, 2.0]
    """
    return max(1.0, side / SIDES[0]) if is_small(side) else side / SIDES[1]


def generator(seed: int, index: int, name: str, severity: int) -> np.random.Generator:
    """The random numbers of one image under one corruption.

    The key of a counter-based generator holds all four numbers, so no two images share
    their numbers, and what else is in a batch changes nothing.
    """
    key = [(seed << 32) + zlib.crc32(name.encode()), index * 8 + severity]
    return np.random.Generator(np.random.Philox(key=np.array(key, np.uint64)))


def stacked(draws: Sequence[np.ndarray]) -> np.ndarray:
    """What each generator of a batch drew, as one float32 array `[B, ...]`."""
    return np.stack(draws).astype(np.float32, copy=False)
