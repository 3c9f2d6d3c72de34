"""Cutout: covers a square of each image.

Reference: DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks
with Cutout", https://arxiv.org/abs/1708.04552, 2017. The centre is uniform over all
pixels, so a part of the square can lie outside of the image.
"""

import numpy as np

from train.base.errors import UserError
from train.data.augment import arguments, boxes

random_centres = boxes.random_centres


def random_sides(count: int, largest: float, rng: np.random.Generator) -> np.ndarray:
    """`[count]`, uniform in [0, `largest`): sides of squares, as shares of the width.

    >>> bool(random_sides(3, 0.5, np.random.default_rng(0)).max() < 0.5)
    True
    """
    arguments.within(0, 1, largest=largest)
    return largest * rng.random(count)


def lengths(sides: np.ndarray, width: int) -> np.ndarray:
    """Shares of the width in whole pixels, rounded down.

    >>> lengths(np.array([0.0, 0.49]), 32)
    array([ 0, 15])
    """
    return (sides * width).astype(np.int64)


def cutout(
    images: np.ndarray, centres: np.ndarray, length: int | np.ndarray, *, fill: int = 0
) -> np.ndarray:
    """Fills a square of each image.

    Args:
      images: `[B, H, W, K]`; not changed in place.
      centres: `[B, 2]` in [0, 1), as `random_centres` draws them.
      length: the sides of the squares in pixels, >= 0: one number, or `[B]`.
      fill: the level, 0 (black) to 255, of the squares.

    Raises:
      UserError: a length is negative, `fill` is no level, or there is not one centre
        for each image.

    Example:
      >>> white = np.full((1, 4, 4, 1), 255, np.uint8)
      >>> cutout(white, np.array([[0.5, 0.9]]), 2)[0, :, :, 0]
      array([[255, 255, 255, 255],
             [255, 255,   0,   0],
             [255, 255,   0,   0],
             [255, 255, 255, 255]], dtype=uint8)
    """
    shape = boxes.shape_of(images, centres=centres)
    arguments.within(0, 255, fill=fill)
    sides = np.broadcast_to(length, len(images))
    if sides.min(initial=0) < 0:
        raise UserError(f"length must be >= 0, got {sides.min()}")
    square = boxes.edges(centres, sides, sides, shape=shape)
    within = boxes.inside(square, shape=shape)[..., None]
    return np.where(within, images.dtype.type(fill), images)
