"""Augmentation of a batch of uint8 images, on the host, from a NumPy generator."""

import numpy as np


def pad_crop(images: np.ndarray, padding: int, rng: np.random.Generator) -> np.ndarray:
    """Each image `[H, W, K]` shifted by up to `padding` pixels; black comes in."""
    count, height, width, _ = images.shape
    frame = [(0, 0), (padding, padding), (padding, padding), (0, 0)]
    padded = np.pad(images, frame)
    tops, lefts = rng.integers(0, 2 * padding + 1, (2, count))
    rows = tops[:, None, None] + np.arange(height)[:, None]
    columns = lefts[:, None, None] + np.arange(width)
    return padded[np.arange(count)[:, None, None], rows, columns]


def flip(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each image mirrored left to right with probability one half."""
    mirrored = rng.random(len(images)) < 0.5
    return np.where(mirrored[:, None, None, None], images[:, :, ::-1], images)
