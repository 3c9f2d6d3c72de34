"""Weather: snow, frost, fog and brightness."""

import numpy as np

from train.data.corruptions import filters, textures
from train.data.corruptions.colours import grey, like
from train.data.corruptions.corruption import Corruption, Generators, stacked


def snow(
    x: np.ndarray, generators: Generators, scale: float,
    mean: float, deviation: float, zoom: float, threshold: float,
    radius: float, sigma: float, kept: float,
) -> np.ndarray:  # fmt: skip
    """Flakes that fall, streaks in their direction, on a whitened image.

    Flakes are enlarged noise above a threshold, blurred by motion within 45 degrees of
    the vertical; the same flakes are added again upside down.
    """
    shape = x.shape[1:3]
    draws = [g.standard_normal(shape, np.float32) for g in generators]
    flakes = filters.zoomed((mean + deviation * stacked(draws))[..., None], zoom)
    flakes = np.where(flakes < threshold, np.float32(0), np.clip(flakes, 0, 1))
    angles = np.deg2rad(stacked([g.uniform(-135, -45, ()) for g in generators]))
    flakes = filters.motion(flakes, angles, radius * scale, sigma * scale)
    whitened = np.maximum(x, 1.5 * grey(x) + 0.5)
    return kept * x + (1 - kept) * whitened + flakes + np.rot90(flakes, 2, (1, 2))


def frost(
    x: np.ndarray, generators: Generators, scale: float, kept: float, added: float
) -> np.ndarray:
    """Ice on a window: a part of a texture (`textures.frost`) is added to the image.

    The authors cut the part from one of five photographs, brought to a fifth of their
    size for images of 32 pixels.
    """
    height, width = x.shape[1:3]
    bank = textures.frost(textures.side_for(min(height, width)))
    drawn = stacked([g.random(3) for g in generators])
    windows = np.empty((len(x), height, width, 3), np.float32)
    for window, (which, top, left) in zip(windows, drawn, strict=True):
        texture = bank[int(which * len(bank))]
        rows = int(top * len(texture)) + np.arange(height)
        columns = int(left * len(texture)) + np.arange(width)
        window[:] = texture[rows[:, None] % len(texture), columns % len(texture)]
    return kept * x + added * like(x, windows)


def fog(
    x: np.ndarray, generators: Generators, scale: float, strength: float, decay: float
) -> np.ndarray:
    """Clouds (`textures.plasma`) before the image, at the brightness of the image."""
    height, width = x.shape[1:3]
    clouds = textures.plasma(generators, max(height, width), decay)
    brightest = x.max((1, 2, 3), keepdims=True)
    foggy = x + strength * clouds[:, :height, :width, None]
    return foggy * brightest / (brightest + strength)


def brightness(
    x: np.ndarray, generators: Generators, scale: float, added: float
) -> np.ndarray:
    """Adds to the value of a pixel (HSV: its largest channel); hue and saturation stay.

    So the channels grow in proportion, and black becomes grey.
    """
    value = x.max(axis=3, keepdims=True)
    brighter = np.minimum(value + np.float32(added), 1)
    dark = value == 0
    return np.where(dark, brighter, x * (brighter / np.where(dark, 1, value)))


SNOW = Corruption(
    "snow", "weather", snow,
    (
        (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
        (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    ),
    (
        (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
        (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
        (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
        (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
        (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
    ),
)  # fmt: skip
FROST = Corruption(
    "frost", "weather", frost,
    ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)),
    ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)),
)  # fmt: skip
FOG = Corruption(
    "fog", "weather", fog,
    ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)),
    ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),
)  # fmt: skip
BRIGHTNESS = Corruption(
    "brightness", "weather", brightness,
    (0.05, 0.1, 0.15, 0.2, 0.3), (0.1, 0.2, 0.3, 0.4, 0.5),
)  # fmt: skip
