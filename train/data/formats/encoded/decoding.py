"""Decodes the bytes of an image to RGB, with the colours that a viewer shows.

Modes of Pillow whose range is known are scaled to bytes; those whose range is not known
are refused. Transparent pixels lie on white.
"""

import io
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image

# One channel of 16 bits. Its range is that of the bits, whatever the image uses of it.
SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")
SCALED = ("PNG", "PPM")  # formats whose mode "I" holds 16 bits, as Pillow reads them
BITS_PER_SAMPLE = 258  # a tag of TIFF files
RANGELESS = {"I": "32-bit integers", "F": "32-bit floats"}
# What brings an image upright, by the value of EXIF's orientation.
TO_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Undecodable(Exception):
    """The bytes are no image, or only a part of one, or have no known range."""


class Decoded(NamedTuple):
    """An image in RGB, and whether its EXIF data asks for a rotation or a mirroring."""

    image: Image.Image
    turned: bool


def decode(encoded: bytes, *, upright: bool = False) -> Decoded:
    """The image in RGB.

    Args:
      encoded: the content of a file.
      upright: whether to apply the rotation that EXIF data asks for. (Pillow always
        applies that of a TIFF file.)

    Raises:
      Undecodable: Pillow cannot decode it, or no one knows which value is white; the
        message says why.
    """
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            transpose = TO_UPRIGHT.get(_orientation(image))
            rgb = _rgb(image)
            if transpose is not None and upright and image.format != "TIFF":
                rgb = rgb.transpose(transpose)
            return Decoded(rgb, transpose is not None)
    except (MemoryError, Undecodable):
        raise
    except Exception as error:  # Pillow's readers of formats raise many kinds
        # Pillow's messages end with the address of an object in memory.
        reason = str(error).partition(" <_io")[0] or type(error).__name__
        raise Undecodable(reason) from error


def _orientation(image: Image.Image) -> int:
    """EXIF's orientation; 1, which is upright, if the data is missing or damaged."""
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # as for the image itself, of any kind
        return 1


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in SIXTEEN_BITS or (image.mode == "I" and image.format in SCALED):
        return _from_bits(image).convert("RGB")
    if image.mode in RANGELESS:
        raise Undecodable(
            f"its pixels are {RANGELESS[image.mode]} (Pillow's mode {image.mode}), of "
            "which no one knows which is white: save it with 8 or 16 bits a channel"
        )
    if image.has_transparency_data:
        above = image.convert("RGBA")
        white = Image.new("RGBA", above.size, "white")
        return Image.alpha_composite(white, above).convert("RGB")
    return image.convert("RGB")


def _from_bits(image: Image.Image) -> Image.Image:
    """The one channel of 16 bits in 8, rounded. (TIFF files can have 12.)"""
    tags = getattr(image, "tag_v2", {})
    white = 2 ** tags.get(BITS_PER_SAMPLE, (16,))[0] - 1
    pixels = np.asarray(image).astype(np.float32) * (255 / white)
    return Image.fromarray(np.rint(pixels).clip(0, 255).astype(np.uint8))
