"""Cutout: a square of each image is blotted out.

Reference: DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks
with Cutout", https://arxiv.org/abs/1708.04552, 2017. The centre is uniform over all
pixels, so part of the square may lie outside of the image.
"""

import numpy as np

from train.base.errors import UserError
from train.data.augment import boxes

random_centres = boxes.random_centres


def random_sides(count: int, largest: float, rng: np.random.Generator) -> np.ndarray:
    """`[count]`, uniform in [0, `largest`): sides of squares, as shares of the image's.

    >>> bool(random_sides(3, 0.5, np.random.default_rng(0)).max() < 0.5)
    True
    """
    if not 0 <= largest <= 1:
        raise UserError(f"largest must lie in [0, 1], got {largest}")
    return largest * rng.random(count)


def lengths(sides: np.ndarray, width: int) -> np.ndarray:
    """Shares of the width in whole pixels, cut off.

    >>> lengths(np.array([0.0, 0.49]), 32)
    array([ 0, 15])
    """
    return (sides * width).astype(np.int64)


def cutout(
    images: np.ndarray, centres: np.ndarray, length: int | np.ndarray, *, fill: int = 0
) -> np.ndarray:
    """The images, in each of which a square is `fill`.

    Args:
      images: `[B, H, W, K]`; they are left as they are.
      centres: `[B, 2]` in [0, 1), as `random_centres` draws them.
      length: pixels of the square's sides, >= 0: one for all, or `[B]`.
      fill: the level of what is cut out; 0 is black.

    Raises:
      UserError: a length is negative, there is no such level, or not a centre for each.

    Example:
      >>> white = np.full((1, 4, 4, 1), 255, np.uint8)
      >>> cutout(white, np.array([[0.5, 0.9]]), 2)[0, :, :, 0]
      array([[255, 255, 255, 255],
             [255, 255,   0,   0],
             [255, 255,   0,   0],
             [255, 255, 255, 255]], dtype=uint8)
    """
    shape = boxes.shape_of(images, centres=centres)
    if not 0 <= fill <= 255:
        raise UserError(f"fill must lie in [0, 255], got {fill}")
    sides = np.broadcast_to(length, len(images))
    if sides.min(initial=0) < 0:
        raise UserError(f"length must be >= 0, got {sides.min()}")
    square = boxes.edges(centres, sides, sides, shape=shape)
    within = boxes.inside(square, shape=shape)[..., None]
    return np.where(within, images.dtype.type(fill), images)
