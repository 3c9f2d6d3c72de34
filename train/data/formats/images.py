"""One encoded image, as torchvision's Resize, CenterCrop and RandomResizedCrop form it.

What is random comes in as uniform numbers, because they are drawn before the size of
the image is known.
"""

import io
import math

import numpy as np
from PIL import Image

ATTEMPTS = 10  # at a crop that fits, before the central one is taken
AREA = (0.08, 1.0)  # share of the image's
RATIO = (3 / 4, 4 / 3)  # width to height

Box = tuple[int, int, int, int]  # left, top, right, bottom


class Undecodable(Exception):
    """The bytes are not those of a whole image."""


def decode(encoded: bytes) -> Image.Image:
    """The RGB image, as its file has it: a rotation in EXIF is not applied.

    Raises:
      Undecodable: why.
    """
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            return image.convert("RGB")
    except MemoryError:
        raise
    except Exception as error:  # Pillow's readers of formats raise many kinds
        # Its messages name the object in memory that was read, whose address differs.
        reason = str(error).partition(" <_io")[0] or type(error).__name__
        raise Undecodable(reason) from error


def evaluation_form(
    image: Image.Image, *, resize_shorter: int, size: int
) -> Image.Image:
    """The central `size` x `size` of the image, its shorter side resized.

    Args:
      image: of any size.
      resize_shorter: pixels of the shorter side before the crop, >= `size`.
      size: pixels of both sides of what is returned.
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
      crop: `[ATTEMPTS, 4]`, uniform in [0, 1): of each attempt the area (uniform in
        `AREA`), the ratio (uniform in the logarithm of `RATIO`), left and top.
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
    """As much of the image as has an allowed ratio, from the middle."""
    w, h = width, height
    if width / height < RATIO[0]:
        h = round(width / RATIO[0])
    elif width / height > RATIO[1]:
        w = round(height * RATIO[1])
    return _box((width - w) // 2, (height - h) // 2, w, h)


def _box(left: int, top: int, width: int, height: int) -> Box:
    return left, top, left + width, top + height
