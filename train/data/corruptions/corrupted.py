"""Corrupts images: `CORRUPTIONS` by name, which of them fit, and `corrupt`."""

import numpy as np

from ikl_jax import checks
from train.base.errors import UserError, explained
from train.data.corruptions import blur, digital, noise, spatter, weather
from train.data.corruptions.corruption import (
    SEVERITIES,
    SMALLEST,
    Corruption,
    generator,
    scale,
)

# In the order of the paper; the four extra ones come last. A new corruption is a line.
CORRUPTIONS: dict[str, Corruption] = {
    corruption.name: corruption
    for corruption in (
        noise.GAUSSIAN_NOISE, noise.SHOT_NOISE, noise.IMPULSE_NOISE,
        blur.DEFOCUS_BLUR, blur.GLASS_BLUR, blur.MOTION_BLUR, blur.ZOOM_BLUR,
        weather.SNOW, weather.FROST, weather.FOG, weather.BRIGHTNESS,
        digital.CONTRAST, digital.ELASTIC_TRANSFORM, digital.PIXELATE,
        digital.JPEG_COMPRESSION,
        noise.SPECKLE_NOISE, blur.GAUSSIAN_BLUR, spatter.SPATTER, digital.SATURATE,
    )
}  # fmt: skip
COMMON = tuple(c.name for c in CORRUPTIONS.values() if c.family != "extra")
EXTRA = tuple(c.name for c in CORRUPTIONS.values() if c.family == "extra")


def corrupt(
    images: np.ndarray, indices: np.ndarray, name: str, severity: int, *, seed: int = 0
) -> np.ndarray:
    """Corrupts a batch of images.

    An image's random numbers depend on the seed, its index, the corruption and the
    severity alone, so the result does not depend on the batch.

    Args:
      images: uint8 `[B, H, W, K]`, K 1 or 3, at least 8 pixels in height and width.
      indices: `[B]`, the position of each image within its data set.
      name: one of `CORRUPTIONS`.
      severity: 1 to 5.
      seed: of the random numbers, 0 to 2**32 - 1.

    Returns:
      uint8 `[B, H, W, K]`: values are cut to [0, 255] and rounded down, as those of
      the published images are.

    Raises:
      UserError: there is no such corruption or severity, or the images do not fit.
    """
    with explained():
        checks.one_of("corruption", name, CORRUPTIONS)
    if type(severity) is not int or severity not in SEVERITIES:
        raise UserError(f"severity must be 1, 2, 3, 4 or 5, got {severity!r}")
    check_fits(name, images.shape[1:])
    corruption, side = CORRUPTIONS[name], min(images.shape[1:3])
    generators = [generator(seed, int(i), name, severity) for i in indices]
    x = images.astype(np.float32) / 255
    changed = corruption.operation(
        x, generators, scale(side), *corruption.parameters(severity, side)
    )
    # What is a whole number but for rounding errors is not rounded down.
    return np.clip(changed * 255 + 1e-3, 0, 255).astype(np.uint8)


def check_fits(name: str, image_shape: tuple[int, ...]) -> None:
    """Raises `UserError` for a corruption that these images cannot have.

    Args:
      name: of the corruption.
      image_shape: (H, W, K).
    """
    if problem := _problem(CORRUPTIONS[name], image_shape):
        raise UserError(f"the corruption {name} {problem}")


def fitting(image_shape: tuple[int, ...]) -> list[str]:
    """The names of all corruptions that images of this shape (H, W, K) can have.

    >>> len(fitting((32, 32, 3))), sorted({*CORRUPTIONS} - {*fitting((28, 28, 1))})
    (19, ['saturate'])
    """
    return [n for n, c in CORRUPTIONS.items() if not _problem(c, image_shape)]


def _problem(corruption: Corruption, image_shape: tuple[int, ...]) -> str:
    """What is wrong with the images, as the end of a sentence; "": nothing."""
    height, width, channels = image_shape
    if channels not in (1, 3):
        return f"needs images of 1 or 3 channels, got {channels}"
    if min(height, width) < SMALLEST:
        return (
            f"needs images of {SMALLEST} x {SMALLEST} pixels or more, got {height} x "
            f"{width}"
        )
    if corruption.needs_colour and channels == 1:
        return "changes colours alone, so it needs images of 3 channels, got 1"
    return ""
