"""Spatter, one of the extra corruptions: drops of water or splashes of mud on a lens.

The authors' code takes its image operations from OpenCV; they are written here with
SciPy's distances and labels of connected pixels.
"""

import math
from typing import Any

import numpy as np
from scipy import ndimage

from train.data.corruptions import filters
from train.data.corruptions.colours import like
from train.data.corruptions.corruption import Corruption, Generators, stacked

WATER = np.array([175, 238, 238], np.float32) / 255  # pale turquoise
MUD = np.array([63, 42, 20], np.float32) / 255
WEAK, STRONG = 50, 150  # thresholds of an edge, as sums of both derivatives
FARTHEST = 20  # pixels from an edge, beyond which the distance does not count
RELIEF = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])  # lit from the upper left


def spatter(
    x: np.ndarray, generators: Generators, scale: float,
    mean: float, deviation: float, sigma: float, threshold: float, strength: float,
    mud: bool,
) -> np.ndarray:  # fmt: skip
    """Covers the image where blurred noise is above a threshold.

    Args:
      x: `[B, H, W, K]`.
      generators: of the noise.
      scale: of `sigma`, and of the blur of mud's edges.
      mean: of the noise.
      deviation: of the noise.
      sigma: of the blur.
      threshold: of the blurred noise.
      strength: of the reflection on water; of mud, the blur of its edges in pixels.
      mud: severities 1 to 3 are water, which adds light; 4 and 5 mud, which covers.
    """
    shape = x.shape[1:3]
    noise = stacked([g.standard_normal(shape, np.float32) for g in generators])
    liquid = filters.gaussian(mean + deviation * noise, sigma * scale)
    if mud:
        cover = filters.gaussian(
            (liquid > threshold).astype(np.float32), strength * scale
        )
        cover = np.where(cover < 0.8, np.float32(0), cover)[..., None]
        return x * (1 - cover) + like(x, MUD) * cover
    liquid = np.where(liquid < threshold, np.float32(0), liquid)
    light = np.stack([_reflection(drops) for drops in np.floor(255 * liquid)])
    return x + strength * light[..., None] * like(x, WATER)


def _reflection(drops: np.ndarray) -> np.ndarray:
    """`[H, W]` in [0, 1], how bright drops of water are: more so on one side.

    Args:
      drops: `[H, W]`, the height of the water, whole numbers up to 255.
    """
    edges = _edges(np.minimum(drops, 255))
    if edges.any():
        nearest: Any = ndimage.distance_transform_edt(~edges)
        distance = np.minimum(nearest, FARTHEST)
    else:
        distance = np.full(drops.shape, float(FARTHEST))
    relief = _equalized(_mean_of_nine(distance).astype(int))
    relief = np.clip(ndimage.correlate(relief, RELIEF, mode="mirror"), 0, 255)
    light = drops * np.rint(_mean_of_nine(relief.astype(np.float32)))
    return (light / max(light.max(), 1e-6)).astype(np.float32)


def _edges(drops: np.ndarray) -> np.ndarray:
    """`[H, W]`, edges by Canny's rules.

    An edge is where the derivative is largest across its direction and above `WEAK`,
    if it is connected with one above `STRONG`.
    """
    across = ndimage.sobel(drops, axis=1, mode="nearest")
    down = ndimage.sobel(drops, axis=0, mode="nearest")
    size = np.abs(across) + np.abs(down)
    around = np.pad(size, 1)
    flat = np.abs(down) <= math.tan(math.pi / 8) * np.abs(across)
    steep = np.abs(down) >= math.tan(3 * math.pi / 8) * np.abs(across)
    falling = across * down > 0  # towards the lower right
    before, after = (
        np.select(
            [flat, steep, falling],
            [_shifted(around, 0, i), _shifted(around, i, 0), _shifted(around, i, i)],
            _shifted(around, i, -i),
        )
        for i in (-1, 1)
    )
    largest = (size > before) & (size >= after) & (size > WEAK)
    found: Any = ndimage.label(largest, np.ones((3, 3)))
    labels = found[0]
    strong = np.unique(labels[largest & (size > STRONG)])
    return np.isin(labels, strong) & largest


def _shifted(around: np.ndarray, down: int, right: int) -> np.ndarray:
    """The neighbours in one direction, of an array with a border of one pixel."""
    height, width = around.shape
    return around[1 + down : height - 1 + down, 1 + right : width - 1 + right]


def _mean_of_nine(x: np.ndarray) -> np.ndarray:
    return ndimage.uniform_filter(x, 3, mode="mirror")


def _equalized(levels: np.ndarray) -> np.ndarray:
    """Makes the levels (0 to 255) about equally frequent."""
    counts = np.bincount(levels.ravel(), minlength=256)
    first = counts[np.flatnonzero(counts)[0]]
    if first == levels.size:
        return levels
    shares = (np.cumsum(counts) - first) / (levels.size - first)
    return np.rint(255 * np.maximum(shares, 0)).astype(int)[levels]


SPATTER = Corruption(
    "spatter", "extra", spatter,
    (
        (0.62, 0.1, 0.7, 0.7, 0.5, False),
        (0.65, 0.1, 0.8, 0.7, 0.5, False),
        (0.65, 0.3, 1, 0.69, 0.5, False),
        (0.65, 0.1, 0.7, 0.69, 0.6, True),
        (0.65, 0.1, 0.5, 0.68, 0.6, True),
    ),
    (
        (0.65, 0.3, 4, 0.69, 0.6, False),
        (0.65, 0.3, 3, 0.68, 0.6, False),
        (0.65, 0.3, 2, 0.68, 0.5, False),
        (0.65, 0.3, 1, 0.65, 1.5, True),
        (0.67, 0.4, 1, 0.65, 1.5, True),
    ),
)  # fmt: skip
