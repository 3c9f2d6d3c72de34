"""Blurs, shifts and samples of batches of images, by NumPy and SciPy alone.

Each treats an image by itself: the result does not depend on the others in the batch.
"""

import math

import numpy as np
from scipy import fft, ndimage


def gaussian(x: np.ndarray, sigma: float) -> np.ndarray:
    """Blurs `[B, H, W, ...]` over both sides; edges repeat, four sigmas are kept."""
    if sigma <= 0:
        return x
    sigmas = (0, sigma, sigma) + (0,) * (x.ndim - 3)
    return ndimage.gaussian_filter(x, sigmas, mode="nearest", truncate=4.0)


def disk(x: np.ndarray, radius: float, sigma: float, taps: int) -> np.ndarray:
    """The mean over a disk of pixels, whose edge is smoothed by a Gaussian.

    Edges are mirrored. Each row of the disk is a box, whose sums take the same time for
    any width.

    Args:
      x: `[B, H, W, K]`.
      radius: pixels whose centre is farther away do not count.
      sigma: of the Gaussian in pixels.
      taps: of the Gaussian, 3 or 5.
    """
    reach = math.floor(radius)
    widths = {
        dy: math.floor(math.sqrt(radius**2 - dy**2)) for dy in range(-reach, reach + 1)
    }
    border = reach + taps // 2
    x = padded(x, border, "reflect")
    boxes = {
        width: ndimage.uniform_filter1d(x, 2 * width + 1, axis=2, mode="nearest")
        for width in set(widths.values())
    }
    area = sum(2 * width + 1 for width in widths.values())
    blurred = np.zeros_like(x)
    for dy, width in widths.items():
        share = np.float32((2 * width + 1) / area)
        blurred += share * np.roll(boxes[width], dy, axis=1)
    offsets = np.arange(taps) - taps // 2
    weights = np.exp(-(offsets**2) / (2 * sigma**2))
    weights /= weights.sum()
    for axis in (1, 2):
        blurred = ndimage.correlate1d(blurred, weights, axis=axis, mode="nearest")
    return blurred[:, border:-border, border:-border]


def motion(
    x: np.ndarray, angles: np.ndarray, radius: float, sigma: float
) -> np.ndarray:
    """Smears images to one side, as ImageMagick's motion blur does.

    The weights are half a Gaussian over whole pixels along a line; edges repeat.

    Args:
      x: `[B, H, W, K]`.
      angles: `[B]` in radians.
      radius: the line has `2 * radius + 1` pixels.
      sigma: of the Gaussian in pixels.
    """
    steps = np.arange(2 * math.ceil(radius) + 1)
    weights = np.exp(-(steps**2) / (2 * sigma**2))
    weights /= weights.sum()
    steps = steps[weights > 1e-5]
    reach, (height, width) = int(steps[-1]), x.shape[1:3]
    x = padded(x, reach, "edge")
    blurred = np.zeros((len(x), height, width, x.shape[3]), np.float32)
    for image, result, angle in zip(x, blurred, angles, strict=True):
        downs = np.ceil(steps * math.sin(angle) - 0.5).astype(int) + reach
        rights = np.ceil(steps * math.cos(angle) - 0.5).astype(int) + reach
        for weight, top, left in zip(
            weights.tolist(), downs.tolist(), rights.tolist(), strict=False
        ):
            result += weight * image[top : top + height, left : left + width]
    return blurred


def zoomed(x: np.ndarray, factor: float) -> np.ndarray:
    """The centre of the images, enlarged to their size by linear interpolation."""
    for axis in (1, 2):
        size = x.shape[axis]
        part = math.ceil(size / factor)
        first = (size - part) // 2
        large = round(part * factor)
        places = np.linspace(0.0, part - 1.0, large) if large > 1 else np.zeros(1)
        trim = (large - size) // 2
        x = _along(x, first + places[trim : trim + size], axis)
    return x


def sampled(
    x: np.ndarray, rows: np.ndarray, columns: np.ndarray, repeated: int
) -> np.ndarray:
    """Values between pixels, by bilinear interpolation.

    Args:
      x: `[B, H, W, K]`.
      rows: `[B, H', W']`, where to look, in pixels.
      columns: the same for the other side.
      repeated: outside of an image it is mirrored; 1: the pixels at its edge are
        repeated, 0: they are not.

    Returns:
      `[B, H', W', K]`.
    """
    top, left = np.floor(rows), np.floor(columns)
    down = (rows - top).astype(np.float32)[..., None]
    right = (columns - left).astype(np.float32)[..., None]
    (height, width), batch = x.shape[1:3], np.arange(len(x))[:, None, None]
    tops, bottoms = (_mirrored(top + i, height, repeated) for i in (0, 1))
    lefts, rights = (_mirrored(left + i, width, repeated) for i in (0, 1))
    upper = (1 - right) * x[batch, tops, lefts] + right * x[batch, tops, rights]
    lower = (1 - right) * x[batch, bottoms, lefts] + right * x[batch, bottoms, rights]
    return (1 - down) * upper + down * lower


def smooth(fields: np.ndarray, sigma: float) -> np.ndarray:
    """Blurs fields `[B, H, W]`, mirrored at their edges, however wide the Gaussian is.

    Cosines are what such a field is made of; each is multiplied by its response.
    """
    height, width = fields.shape[1:]
    down, right = (np.pi * np.arange(size) / size for size in (height, width))
    response = np.exp(-0.5 * sigma**2 * (down[:, None] ** 2 + right**2))
    blurred = np.empty_like(fields)
    for field, result in zip(fields, blurred, strict=True):
        waves = fft.dctn(field, norm="ortho") * response
        result[:] = fft.idctn(waves, norm="ortho")
    return blurred


def padded(x: np.ndarray, border: int, mode: str) -> np.ndarray:
    """Images with a border; "edge" repeats the last pixel, "reflect" mirrors at it."""
    sides = ((0, 0), (border, border), (border, border), (0, 0))
    return np.pad(x, sides, mode=mode)  # type: ignore[call-overload]


def _along(x: np.ndarray, places: np.ndarray, axis: int) -> np.ndarray:
    """Linear interpolation along one axis."""
    low = np.floor(places).astype(int)
    high = np.minimum(low + 1, x.shape[axis] - 1)
    shape = [1] * x.ndim
    shape[axis] = len(places)
    share = (places - low).astype(np.float32).reshape(shape)
    return (1 - share) * np.take(x, low, axis) + share * np.take(x, high, axis)


def _mirrored(places: np.ndarray, size: int, repeated: int) -> np.ndarray:
    """Positions outside of an axis, mirrored into it."""
    period = 2 * (size - 1 + repeated)
    places = np.mod(places.astype(np.int64), period)
    return np.where(places < size, places, period - repeated - places)
