"""Boxes in images, clipped at the edges, for Cutout and CutMix."""

import numpy as np

from train.base.errors import UserError

Shape = tuple[int, int]  # height, width


def random_centres(count: int, rng: np.random.Generator) -> np.ndarray:
    """`[count, 2]`, uniform in [0, 1): how far down and right the centres lie.

    >>> random_centres(3, np.random.default_rng(0)).shape
    (3, 2)
    """
    return rng.random((count, 2))


def shape_of(images: np.ndarray, **drawn: np.ndarray) -> Shape:
    """Checks images `[B, H, W, K]` and what is drawn for them; their height and width.

    Raises:
      UserError: the images have another rank, or an array in `drawn` has not B rows.

    Example:
      >>> shape_of(np.zeros((5, 28, 32, 1)), centres=np.zeros((5, 2)))
      (28, 32)
    """
    if images.ndim != 4:
        raise UserError(f"images must be [B, H, W, K], got {list(images.shape)}")
    for name, rows in drawn.items():
        if len(rows) != len(images):
            raise UserError(
                f"{name} must have a row for each of the {len(images)} images, "
                f"got {len(rows)}"
            )
    _, height, width, _ = images.shape
    return height, width


def edges(
    centres: np.ndarray, heights: np.ndarray, widths: np.ndarray, *, shape: Shape
) -> np.ndarray:
    """Top, bottom, left and right of each box, `[B, 4]`; the ends are exclusive.

    A box with an even side has one pixel more above and left of its centre than below
    and right of it, as in the authors' code. A box with an odd side lies evenly around
    its centre; there the authors' code drops a pixel.

    Args:
      centres: `[B, 2]` in [0, 1), as `random_centres` draws them.
      heights: `[B]` in pixels, >= 0.
      widths: `[B]` in pixels, >= 0.
      shape: the images' (H, W).

    Example:
      >>> edges(np.array([[0.5, 0.0]]), np.array([4]), np.array([4]), shape=(8, 8))
      array([[2, 6, 0, 2]])
    """
    pixels = (centres * shape).astype(np.int64)
    sides = np.stack([heights, widths], axis=1)
    starts = pixels - sides // 2
    ends = starts + sides
    clipped = np.clip(np.stack([starts, ends], axis=2), 0, np.array(shape)[:, None])
    return clipped.reshape(-1, 4)


def inside(edges: np.ndarray, *, shape: Shape) -> np.ndarray:
    """`[B, H, W]`, True for the pixels within each box.

    >>> inside(np.array([[0, 1, 1, 3]]), shape=(2, 3)).astype(int)
    array([[[0, 1, 1],
            [0, 0, 0]]])
    """
    top, bottom, left, right = edges.T[..., None]
    y, x = np.arange(shape[0]), np.arange(shape[1])
    rows = (y >= top) & (y < bottom)
    columns = (x >= left) & (x < right)
    return rows[:, :, None] & columns[:, None, :]
