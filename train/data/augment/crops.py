"""Crops and mirrors a batch of uint8 images, on the host.

Functions that draw random numbers are apart from those that use them: every process
draws for the whole batch and uses the numbers of its own rows.
"""

from typing import Literal

import numpy as np

from train.data.formats.encoded import forms

# Names of `data.crop_fill` to NumPy's modes of padding.
FILLS: dict[str, Literal["constant", "reflect"]] = {
    "black": "constant",
    "reflect": "reflect",
}


def random_crops(count: int, rng: np.random.Generator) -> np.ndarray:
    """`[count, ATTEMPTS, 4]`, uniform numbers for `forms.crop_box`."""
    return rng.random((count, forms.ATTEMPTS, 4))


def random_shifts(count: int, padding: int, rng: np.random.Generator) -> np.ndarray:
    """`[2, count]`, the top and left of crops of padded images."""
    return rng.integers(0, 2 * padding + 1, (2, count))


def pad_crop(
    images: np.ndarray, padding: int, shifts: np.ndarray, fill: str = "black"
) -> np.ndarray:
    """Shifts each image by up to `padding` pixels.

    Args:
      images: `[B, H, W, K]`.
      padding: pixels that are added on each side before the crop.
      shifts: `[2, B]`, as `random_shifts` draws them.
      fill: what the gap is filled with, a name in `FILLS`. `reflect` mirrors the image
        at its outermost pixels, which are not repeated.
    """
    count, height, width, _ = images.shape
    frame = [(0, 0), (padding, padding), (padding, padding), (0, 0)]
    padded = np.pad(images, frame, mode=FILLS[fill])
    tops, lefts = shifts
    rows = tops[:, None, None] + np.arange(height)[:, None]
    columns = lefts[:, None, None] + np.arange(width)
    return padded[np.arange(count)[:, None, None], rows, columns]


def random_mirrors(count: int, rng: np.random.Generator) -> np.ndarray:
    """`[count]`, True with probability one half."""
    return rng.random(count) < 0.5


def flip(images: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    """Mirrors the images for which `mirrored` `[B]` is True, left to right."""
    return np.where(mirrored[:, None, None, None], images[:, :, ::-1], images)
