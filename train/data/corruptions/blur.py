"""Blurs: defocus, glass, motion, zoom and, of the extra corruptions, Gaussian."""

import numpy as np

from train.data.corruptions import filters
from train.data.corruptions.corruption import Corruption, Generators, stacked


def defocus_blur(
    x: np.ndarray, generators: Generators, scale: float, radius: float, sigma: float
) -> np.ndarray:
    """The image of a lens out of focus: the mean over a disk, with a soft edge."""
    taps = 3 if radius * scale <= 8 else 5
    return filters.disk(x, radius * scale, sigma, taps)


def glass_blur(
    x: np.ndarray, generators: Generators, scale: float,
    sigma: float, reach: int, times: int,
) -> np.ndarray:  # fmt: skip
    """The view through frosted glass: blurs, displaces pixels at random, blurs again.

    From the lower right corner on, each pixel takes the value of one at most `reach`
    away. The authors' code means to swap the two, but the rows that NumPy swaps are
    views, so the second one keeps its value; the published images are made so.
    """
    reach = max(1, round(reach * scale))
    blurred = np.floor(255 * filters.gaussian(x, sigma * scale))
    for image, generator in zip(blurred, generators, strict=True):
        _displace(image, generator, reach, times)
    return filters.gaussian(blurred / 255, sigma * scale)


def motion_blur(
    x: np.ndarray, generators: Generators, scale: float, radius: float, sigma: float
) -> np.ndarray:
    """A quick move of the camera, within 45 degrees of the horizontal."""
    angles = np.deg2rad(stacked([g.uniform(-45, 45, ()) for g in generators]))
    return filters.motion(x, angles, radius * scale, sigma * scale)


def zoom_blur(
    x: np.ndarray, generators: Generators, scale: float, stop: float, step: float
) -> np.ndarray:
    """A quick move towards the scene: the mean of the image and its enlargements."""
    factors = np.arange(1, stop, step)
    total = x.copy()
    for factor in factors:
        total += filters.zoomed(x, factor)
    return total / np.float32(len(factors) + 1)


def gaussian_blur(
    x: np.ndarray, generators: Generators, scale: float, sigma: float
) -> np.ndarray:
    """Each pixel becomes a weighted mean of its neighbours."""
    return filters.gaussian(x, sigma * scale)


def _displace(
    image: np.ndarray, generator: np.random.Generator, reach: int, times: int
) -> None:
    """Displaces the pixels of one image `[H, W, K]` in place."""
    height, width, channels = image.shape
    rows = np.arange(height - reach, reach, -1)
    columns = np.arange(width - reach, reach, -1)
    places = (rows[:, None] * width + columns).ravel()
    origin = list(range(height * width))
    for _ in range(times):
        down, right = generator.integers(-reach, reach, (2, len(places)))
        others = places + down * width + right
        for place, other in zip(places.tolist(), others.tolist(), strict=True):
            origin[place] = origin[other]
    image[:] = image.reshape(-1, channels)[origin].reshape(image.shape)


DEFOCUS_BLUR = Corruption(
    "defocus_blur", "blur", defocus_blur,
    ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),
    ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),
)  # fmt: skip
GLASS_BLUR = Corruption(
    "glass_blur", "blur", glass_blur,
    ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
    ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
)  # fmt: skip
MOTION_BLUR = Corruption(
    "motion_blur", "blur", motion_blur,
    ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)),
    ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),
)  # fmt: skip
ZOOM_BLUR = Corruption(
    "zoom_blur", "blur", zoom_blur,
    ((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)),
    ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)),
)  # fmt: skip
GAUSSIAN_BLUR = Corruption(
    "gaussian_blur", "extra", gaussian_blur, (0.4, 0.6, 0.7, 0.8, 1), (1, 2, 3, 4, 6)
)
