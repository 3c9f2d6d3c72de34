"""Augmentation of a batch of uint8 images, on the host.

What is random is drawn apart from what is done with it: every process draws for the
whole batch and applies its own rows.
"""

import numpy as np

from train.data.formats import images


def random_crops(count: int, rng: np.random.Generator) -> np.ndarray:
    """`[count, ATTEMPTS, 4]`, what `images.crop_box` makes crops of."""
    return rng.random((count, images.ATTEMPTS, 4))


def random_shifts(count: int, padding: int, rng: np.random.Generator) -> np.ndarray:
    """`[2, count]`, where crops begin in images padded on all sides."""
    return rng.integers(0, 2 * padding + 1, (2, count))


def pad_crop(images: np.ndarray, padding: int, shifts: np.ndarray) -> np.ndarray:
    """Each image `[H, W, K]` shifted by up to `padding` pixels; black comes in."""
    count, height, width, _ = images.shape
    frame = [(0, 0), (padding, padding), (padding, padding), (0, 0)]
    padded = np.pad(images, frame)
    tops, lefts = shifts
    rows = tops[:, None, None] + np.arange(height)[:, None]
    columns = lefts[:, None, None] + np.arange(width)
    return padded[np.arange(count)[:, None, None], rows, columns]


def random_mirrors(count: int, rng: np.random.Generator) -> np.ndarray:
    """`[count]`, True with probability one half."""
    return rng.random(count) < 0.5


def flip(images: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    """The images that are `mirrored`, left to right; the others as they are."""
    return np.where(mirrored[:, None, None, None], images[:, :, ::-1], images)
