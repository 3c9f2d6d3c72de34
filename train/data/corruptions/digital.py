"""Digital: contrast, elastic, pixelate, JPEG and, of the extra ones, saturate."""

import io

import numpy as np
from PIL import Image

from train.data.corruptions import filters
from train.data.corruptions.corruption import Corruption, Generators, stacked

# The authors multiply by 244 where images have 224 pixels; ImageNet-C is made so.
OF_224 = 244 / 224


def contrast(
    x: np.ndarray, generators: Generators, scale: float, kept: float
) -> np.ndarray:
    """Moves all values towards the mean of their channel."""
    # The mean of whole numbers is exact, whatever the order of their sum.
    mean = np.rint(x * 255).astype(np.int64).mean((1, 2), keepdims=True) / 255
    return ((x - mean) * kept + mean).astype(np.float32)


def elastic_transform(
    x: np.ndarray, generators: Generators, scale: float,
    strength: float, sigma: float, corners: float,
) -> np.ndarray:  # fmt: skip
    """Stretches small regions.

    An affine map moves three points by at most `corners`. Then each pixel comes from a
    place that random numbers, blurred and multiplied by `strength`, displace.

    Args:
      strength: as `sigma` and `corners`, as a share of the shorter side.
      sigma: of the blur.
      corners: how far a point moves in each direction.
    """
    height, width = x.shape[1:3]
    side = min(height, width)
    moves = [g.uniform(-corners * side, corners * side, (3, 2)) for g in generators]
    rows, columns = _affine(height, width, np.stack(moves))
    warped = filters.sampled(x, rows, columns, repeated=0)
    shape = (2, height, width)
    random = stacked([g.uniform(-1, 1, shape) for g in generators])
    down, right = strength * side * np.moveaxis(random, 1, 0)
    if sigma > 0:
        down, right = (filters.smooth(a, sigma * side) for a in (down, right))
    rows, columns = np.arange(height)[:, None] + down, np.arange(width) + right
    return filters.sampled(warped, rows, columns, repeated=1)


def pixelate(
    x: np.ndarray, generators: Generators, scale: float, share: float
) -> np.ndarray:
    """Makes the image smaller and larger again, by the means of areas."""
    height, width = x.shape[1:3]
    small = max(1, int(width * share)), max(1, int(height * share))
    box = Image.Resampling.BOX

    def through(image: Image.Image) -> Image.Image:
        return image.resize(small, box).resize((width, height), box)

    return _by_pillow(x, through)


def jpeg_compression(
    x: np.ndarray, generators: Generators, scale: float, quality: int
) -> np.ndarray:
    """Stores the image as a JPEG file of that quality, and reads it."""

    def through(image: Image.Image) -> Image.Image:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        return Image.open(file)

    return _by_pillow(x, through)


def saturate(
    x: np.ndarray, generators: Generators, scale: float, factor: float, added: float
) -> np.ndarray:
    """Changes the saturation (HSV) of colours; hue and value stay.

    A grey pixel has hue 0, so what is added to its saturation makes it red.
    """
    value = x.max(axis=3, keepdims=True)
    below = value - x  # value * saturation * a number that the hue decides
    largest = below.max(axis=3, keepdims=True)
    is_grey = largest == 0
    hue = np.where(
        is_grey, np.array([0, 1, 1], np.float32), below / np.where(is_grey, 1, largest)
    )
    saturation = largest / np.where(value == 0, 1, value)
    return value - value * np.clip(saturation * factor + added, 0, 1) * hue


def _affine(
    height: int, width: int, moves: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel of the result comes from: rows and columns, `[B, H, W]`.

    Args:
      height: of the images.
      width: of the images.
      moves: `[B, 3, 2]`, what is added to the places of three points.
    """
    reach, centre = min(height, width) // 3, np.array([height, width]) // 2
    corners = np.array([[1, 1], [1, -1], [-1, -1]])
    points = centre + corners * reach  # row and column of each
    ones = np.ones((3, 1))
    found = np.empty((2, len(moves), height, width))
    down, right = np.arange(height)[:, None], np.arange(width)
    for i, move in enumerate(moves):
        matrix = np.linalg.solve(np.hstack([points + move, ones]), points)
        for axis in (0, 1):
            a, b, c = matrix[:, axis]
            found[axis, i] = a * down + b * right + c
    return found[0], found[1]


def _by_pillow(x: np.ndarray, through) -> np.ndarray:
    """Applies a function of Pillow's images to each image of a batch."""
    pixels = np.rint(x * 255).astype(np.uint8)
    found = np.empty_like(pixels)
    for image, result in zip(pixels, found, strict=True):
        grey = image.shape[2] == 1
        changed = through(Image.fromarray(image[..., 0] if grey else image))
        result[:] = np.asarray(changed).reshape(image.shape)
    return found.astype(np.float32) / 255


CONTRAST = Corruption(
    "contrast", "digital", contrast,
    (0.75, 0.5, 0.4, 0.3, 0.15), (0.4, 0.3, 0.2, 0.1, 0.05),
)  # fmt: skip
ELASTIC_TRANSFORM = Corruption(
    "elastic_transform", "digital", elastic_transform,
    (
        (0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05),
        (0.1, 0.03, 0.03),
    ),
    (
        (2 * OF_224, 0.7 * OF_224, 0.1 * OF_224),
        (2 * OF_224, 0.08 * OF_224, 0.2 * OF_224),
        (0.05 * OF_224, 0.01 * OF_224, 0.02 * OF_224),
        (0.07 * OF_224, 0.01 * OF_224, 0.02 * OF_224),
        (0.12 * OF_224, 0.01 * OF_224, 0.02 * OF_224),
    ),
)  # fmt: skip
PIXELATE = Corruption(
    "pixelate", "digital", pixelate,
    (0.95, 0.9, 0.85, 0.75, 0.65), (0.6, 0.5, 0.4, 0.3, 0.25),
)  # fmt: skip
JPEG_COMPRESSION = Corruption(
    "jpeg_compression", "digital", jpeg_compression,
    (80, 65, 58, 50, 40), (25, 18, 15, 10, 7),
)  # fmt: skip
SATURATE = Corruption(
    "saturate", "extra", saturate,
    ((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)),
    ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2)),
    needs_colour=True,
)  # fmt: skip
