"""Brings an image to a size as torchvision does.

The rules are those of its Resize, CenterCrop and RandomResizedCrop. Random crops are
given as uniform numbers, which are drawn before the size of the image is known.
"""

import math

import numpy as np
from PIL import Image

ATTEMPTS = 10  # random crops that are tried before a central one is taken
AREA = (0.08, 1.0)  # of a crop, as a share of the image's area
RATIO = (3 / 4, 4 / 3)  # of a crop's width to its height

Box = tuple[int, int, int, int]  # left, top, right, bottom


def evaluation_form(
    image: Image.Image, *, resize_shorter: int, size: int
) -> Image.Image:
    """The image with its shorter side resized, and the centre cut out of that.

    Args:
      image: of any size.
      resize_shorter: pixels of the shorter side before the crop, >= `size`.
      size: pixels of both sides of the result.
    """
    shorter, longer = sorted(image.size)
    resized_longer = int(resize_shorter * longer / shorter)
    wide = image.width > image.height
    width, height = (
        (resized_longer, resize_shorter) if wide else (resize_shorter, resized_longer)
    )
    resized = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = round((width - size) / 2), round((height - size) / 2)
    return resized.crop((left, top, left + size, top + size))


def training_form(image: Image.Image, crop: np.ndarray, *, size: int) -> Image.Image:
    """A crop of random area and shape, resized to `size` x `size`; see `crop_box`."""
    # Cropped first: resizing within a box would read pixels beyond its edges.
    cropped = image.crop(crop_box(crop, *image.size))
    return cropped.resize((size, size), Image.Resampling.BILINEAR)


def crop_box(crop: np.ndarray, width: int, height: int) -> Box:
    """The first attempt that fits into the image, else a central box.

    Args:
      crop: `[ATTEMPTS, 4]`, uniform in [0, 1). The four numbers of an attempt choose
        its area (uniform in `AREA`), its ratio (log-uniform in `RATIO`), its left and
        its top.
      width: of the image in pixels.
      height: of the image in pixels.
    """
    low, high = math.log(RATIO[0]), math.log(RATIO[1])
    for area, ratio, left, top in crop.tolist():
        target = width * height * (AREA[0] + (AREA[1] - AREA[0]) * area)
        aspect = math.exp(low + (high - low) * ratio)
        w, h = round(math.sqrt(target * aspect)), round(math.sqrt(target / aspect))
        if 0 < w <= width and 0 < h <= height:
            return _box(int(left * (width - w + 1)), int(top * (height - h + 1)), w, h)
    return _central_box(width, height)


def _central_box(width: int, height: int) -> Box:
    """The largest box in the middle of the image whose ratio is allowed."""
    w, h = width, height
    if width / height < RATIO[0]:
        h = round(width / RATIO[0])
    elif width / height > RATIO[1]:
        w = round(height * RATIO[1])
    return _box((width - w) // 2, (height - h) // 2, w, h)


def _box(left: int, top: int, width: int, height: int) -> Box:
    return left, top, left + width, top + height
