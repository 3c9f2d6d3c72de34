"""Grey and coloured images, `[..., 1]` and `[..., 3]`."""

import numpy as np

LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green and blue


def grey(x: np.ndarray) -> np.ndarray:
    """`[..., 1]`, the brightness that the eye sees.

    >>> float(grey(np.ones((1, 1, 3), np.float32)).round(4).item())
    1.0
    """
    if x.shape[-1] == 1:
        return x
    red, green, blue = (x[..., i : i + 1] * LUMINANCE[i] for i in range(3))
    return red + green + blue


def like(x: np.ndarray, coloured: np.ndarray) -> np.ndarray:
    """A coloured layer for images `x`: itself, or its brightness if they are grey."""
    return grey(coloured) if x.shape[-1] == 1 else coloured
