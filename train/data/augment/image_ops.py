"""The operations of AutoAugment and RandAugment on one image; see `OPERATIONS`.

Each is `(image, value, fill) -> image` for an image of mode L or RGB. `value` is in
the operation's own unit, and `fill` is the level of pixels from outside of the image;
an operation that needs neither ignores them. All operations are Pillow's, as in the
authors' code, and agree with torchvision's.

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
    """Shifts each row left, by `value` pixels for each pixel from the upper edge."""
    return _affine(image, (1, value, 0, 0, 1, 0), fill)


def shear_y(image: Image.Image, value: float, fill: int) -> Image.Image:
    """Shifts each column up, by `value` pixels for each pixel from the left edge."""
    return _affine(image, (1, 0, 0, value, 1, 0), fill)


def translate_x(image: Image.Image, value: float, fill: int) -> Image.Image:
    """Shifts right by the share `value` of the width, rounded towards zero."""
    return _affine(image, (1, 0, -int(value * image.width), 0, 1, 0), fill)


def translate_y(image: Image.Image, value: float, fill: int) -> Image.Image:
    """Shifts down by the share `value` of the height, rounded towards zero."""
    return _affine(image, (1, 0, 0, 0, 1, -int(value * image.height)), fill)


def rotate(image: Image.Image, value: float, fill: int) -> Image.Image:
    """Rotates counter-clockwise around the centre, by `value` degrees."""
    return image.rotate(value, Image.Resampling.NEAREST, fillcolor=_color(image, fill))


def brightness(image: Image.Image, value: float, fill: int) -> Image.Image:
    """Scales brightness: 0 gives black, 1 the image itself."""
    return ImageEnhance.Brightness(image).enhance(value)


def color(image: Image.Image, value: float, fill: int) -> Image.Image:
    """Scales colour: 0 gives the grey image, 1 the image itself."""
    return ImageEnhance.Color(image).enhance(value)


def contrast(image: Image.Image, value: float, fill: int) -> Image.Image:
    """Scales contrast: 0 gives the mean grey level, 1 the image itself."""
    return ImageEnhance.Contrast(image).enhance(value)


def sharpness(image: Image.Image, value: float, fill: int) -> Image.Image:
    """Scales sharpness: 0 gives the smoothed image, 1 the image itself."""
    return ImageEnhance.Sharpness(image).enhance(value)


def posterize(image: Image.Image, value: float, fill: int) -> Image.Image:
    """Keeps the `value` highest bits of each level; `value` is rounded down."""
    return ImageOps.posterize(image, int(value))


def solarize(image: Image.Image, value: float, fill: int) -> Image.Image:
    """Inverts the levels from `value` upwards."""
    # Levels are whole numbers: one below `value` is also below `value` rounded up.
    return ImageOps.solarize(image, math.ceil(value))


def auto_contrast(image: Image.Image, value: float, fill: int) -> Image.Image:
    """Stretches each channel from black to white."""
    return ImageOps.autocontrast(image)


def equalize(image: Image.Image, value: float, fill: int) -> Image.Image:
    """Makes the levels of each channel about equally frequent."""
    return ImageOps.equalize(image)


def invert(image: Image.Image, value: float, fill: int) -> Image.Image:
    """Inverts all levels."""
    return ImageOps.invert(image)


def _affine(image: Image.Image, matrix: Matrix, fill: int) -> Image.Image:
    """`matrix` maps the place of a pixel in the result to its place in the image."""
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
