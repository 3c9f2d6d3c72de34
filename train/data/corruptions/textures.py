"""Random fields for the weather: fog, and frost on a window."""

import functools
from typing import Any

import numpy as np
from scipy import fft, ndimage

from train.data.corruptions.corruption import (
    Generators,
    is_small,
    scale,
    stacked,
)

SIZE = 512  # pixels of a side of a frost texture, for images of 224
ORIENTATIONS = 6  # of ice needles
LENGTH, PATCH = 60.0, 90.0  # pixels: of a needle, and of needles in one direction
CLOUDS = 0.5  # standard deviation of slow changes, as a share of the needles'
# Mean red, green and blue of the five photographs that ImageNet-C's frost is cut from,
# and the standard deviation of their brightness: measured, so that ours damage as much.
PHOTOGRAPHS = (
    ((0.30, 0.58, 0.65), 0.07),
    ((0.79, 0.81, 0.84), 0.09),
    ((0.79, 0.81, 0.84), 0.09),
    ((0.54, 0.60, 0.65), 0.11),
    ((0.44, 0.48, 0.53), 0.17),
)


def plasma(generators: Generators, side: int, decay: float) -> np.ndarray:
    """`[B, S, S]` in [0, 1], clouds by the diamond-square algorithm.

    Starting from one height, each round halves the distance between known points: a new
    one is the mean of its four neighbours and a random number, whose range falls by
    `decay` squared in each round. S is the power of two from `side` on; the field is
    periodic.
    """
    size = 1 << (side - 1).bit_length()
    shape = (size, size)
    random = stacked([g.uniform(-1, 1, shape) for g in generators])
    heights = np.zeros_like(random)
    step, wobble = size, 100.0
    while step >= 2:
        half = step // 2
        corner = heights[:, ::step, ::step]
        middle = _pair(_pair(corner, -1, 1), -1, 2) / 4
        middle += wobble**2 * random[:, half::step, half::step]
        heights[:, half::step, half::step] = middle
        above = _pair(middle, 1, 1) + _pair(corner, -1, 2)
        heights[:, ::step, half::step] = (
            above / 4 + wobble**2 * random[:, ::step, half::step]
        )
        left = _pair(middle, 1, 2) + _pair(corner, -1, 1)
        heights[:, half::step, ::step] = (
            left / 4 + wobble**2 * random[:, half::step, ::step]
        )
        step, wobble = half, wobble / decay
    heights -= heights.min((1, 2), keepdims=True)
    return heights / heights.max((1, 2), keepdims=True)


def side_for(image_side: int) -> int:
    """The side of a frost texture for images of this shorter side, in pixels.

    A fifth of the full size for 32 pixels, the full size for 224.
    """
    full = SIZE / 5 if is_small(image_side) else SIZE
    return round(full * scale(image_side))


@functools.lru_cache(maxsize=4)
def frost(side: int) -> np.ndarray:
    """`[5, side, side, 3]` float32 in [0, 1], frosted windows; the same at any time.

    Needles of ice in patches of one direction each, in colour and contrast like the
    photographs. The textures are periodic.
    """
    return np.stack([_frosted(number, side) for number in range(len(PHOTOGRAPHS))])


def _frosted(number: int, side: int) -> np.ndarray:
    """One texture `[side, side, 3]`."""
    colour, deviation = PHOTOGRAPHS[number]
    grey = deviation * _needles(number // 2)  # two textures share their needles
    if side != SIZE:  # a mean over the area of a pixel, as a photograph is made smaller
        zoom = side / SIZE
        grey = ndimage.gaussian_filter(grey, 0.4 * max(1 / zoom - 1, 0), mode="wrap")
        places = (np.arange(side) + 0.5) / zoom - 0.5
        grid = np.stack(np.meshgrid(places, places, indexing="ij"))
        grey = ndimage.map_coordinates(grey, grid, order=1, mode="grid-wrap")
    return np.clip(np.array(colour) + grey[..., None], 0, 1).astype(np.float32)


@functools.cache
def _needles(number: int) -> np.ndarray:
    """`[SIZE, SIZE]`, ridges along one direction in each patch, and clouds.

    The mean is 0, the standard deviation 1.
    """
    generator = np.random.default_rng(number)
    down, right = fft.fftfreq(SIZE)[:, None], fft.rfftfreq(SIZE)[None]
    square = down**2 + right**2
    needles = np.zeros((SIZE, SIZE))
    highest = np.full((SIZE, SIZE), -np.inf)
    for angle in np.arange(ORIENTATIONS) * np.pi / ORIENTATIONS:
        along = down * np.sin(angle) + right * np.cos(angle)
        across = np.abs(down * np.cos(angle) - right * np.sin(angle))
        field = _filtered(generator, np.exp(-((LENGTH * along) ** 2)) / (0.02 + across))
        patches = _filtered(generator, np.exp(-(PATCH**2) * square))
        needles = np.where(patches > highest, -np.abs(field), needles)
        highest = np.maximum(patches, highest)
    clouds = _filtered(generator, 1 / (0.004 + np.sqrt(square)))
    found = needles / needles.std() + CLOUDS * clouds
    return (found - found.mean()) / found.std()


def _filtered(generator: np.random.Generator, response: np.ndarray) -> np.ndarray:
    """White noise after a filter given by its frequencies; mean 0, deviation 1."""
    noise: Any = fft.rfft2(generator.standard_normal((SIZE, SIZE), np.float32))
    response[0, 0] = 0
    field: Any = fft.irfft2(noise * response.astype(np.float32), (SIZE, SIZE))
    return field / field.std()


def _pair(field: np.ndarray, shift: int, axis: int) -> np.ndarray:
    """Each value plus its neighbour's."""
    return field + np.roll(field, shift, axis)
