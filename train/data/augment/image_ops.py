"""The operations of AutoAugment and RandAugment on one image; see `OPERATIONS`.

Each is `(image, value, fill) -> image` for an image of mode L or RGB. The value is in
the operation's own unit; `fill` is the level of what comes in from outside. Operations
that need no value, or that bring nothing in, do not look at them. All are Pillow's, as
in the authors' code, and agree with torchvision's.

Reference: Cubuk et al., "AutoAugment: Learning Augmentation Strategies from Data",
https://arxiv.org/abs/1805.09501, 2019, appendix.
"""

import math
from collections.abc import Callable

from PIL import Image, ImageEnhance, ImageOps

Operation = Callable[[Image.Image, float, int], Image.Image]
Matrix = tuple[float, float, float, float, float, float]


def identity(image: Image.Image, value: float, fill: int) -> Image.Image:
    """The image as it is."""
    return image


def shear_x(image: Image.Image, value: float, fill: int) -> Image.Image:
    """Each row to the left, by `value` pixels for each pixel below the upper edge."""
    return _affine(image, (1, value, 0, 0, 1, 0), fill)


def shear_y(image: Image.Image, value: float, fill: int) -> Image.Image:
    """Each column up, by `value` pixels for each pixel right of the left edge."""
    return _affine(image, (1, 0, 0, value, 1, 0), fill)


def translate_x(image: Image.Image, value: float, fill: int) -> Image.Image:
    """To the right by that share of the width, in whole pixels towards zero."""
    return _affine(image, (1, 0, -int(value * image.width), 0, 1, 0), fill)


def translate_y(image: Image.Image, value: float, fill: int) -> Image.Image:
    """Down by that share of the height, in whole pixels towards zero."""
    return _affine(image, (1, 0, 0, 0, 1, -int(value * image.height)), fill)


def rotate(image: Image.Image, value: float, fill: int) -> Image.Image:
    """Counter-clockwise around the centre, by `value` degrees."""
    return image.rotate(value, Image.Resampling.NEAREST, fillcolor=_color(image, fill))


def brightness(image: Image.Image, value: float, fill: int) -> Image.Image:
    """From black (0) through the image (1) beyond it."""
    return ImageEnhance.Brightness(image).enhance(value)


def color(image: Image.Image, value: float, fill: int) -> Image.Image:
    """From its grey form (0) through the image (1) beyond it."""
    return ImageEnhance.Color(image).enhance(value)


def contrast(image: Image.Image, value: float, fill: int) -> Image.Image:
    """From its mean grey (0) through the image (1) beyond it."""
    return ImageEnhance.Contrast(image).enhance(value)


def sharpness(image: Image.Image, value: float, fill: int) -> Image.Image:
    """From its smoothed form (0) through the image (1) beyond it."""
    return ImageEnhance.Sharpness(image).enhance(value)


def posterize(image: Image.Image, value: float, fill: int) -> Image.Image:
    """The `value` highest bits of each level; a fraction of a bit is cut off."""
    return ImageOps.posterize(image, int(value))


def solarize(image: Image.Image, value: float, fill: int) -> Image.Image:
    """Inverts the levels that are not below `value`."""
    # Levels are whole, so those below `value` are those below what it is rounded up to.
    return ImageOps.solarize(image, math.ceil(value))


def auto_contrast(image: Image.Image, value: float, fill: int) -> Image.Image:
    """Each channel stretched from black to white."""
    return ImageOps.autocontrast(image)


def equalize(image: Image.Image, value: float, fill: int) -> Image.Image:
    """Each channel's levels made about equally frequent."""
    return ImageOps.equalize(image)


def invert(image: Image.Image, value: float, fill: int) -> Image.Image:
    """Black for white."""
    return ImageOps.invert(image)


def _affine(image: Image.Image, matrix: Matrix, fill: int) -> Image.Image:
    """`matrix` leads from where a pixel comes to lie to where it is from."""
    return image.transform(
        image.size,
        Image.Transform.AFFINE,
        matrix,
        Image.Resampling.NEAREST,
        fillcolor=_color(image, fill),
    )


def _color(image: Image.Image, fill: int) -> tuple[int, ...]:
    return (fill,) * len(image.getbands())


OPERATIONS: dict[str, Operation] = {
    "Identity": identity,
    "ShearX": shear_x,
    "ShearY": shear_y,
    "TranslateX": translate_x,
    "TranslateY": translate_y,
    "Rotate": rotate,
    "Brightness": brightness,
    "Color": color,
    "Contrast": contrast,
    "Sharpness": sharpness,
    "Posterize": posterize,
    "Solarize": solarize,
    "AutoContrast": auto_contrast,
    "Equalize": equalize,
    "Invert": invert,
}
