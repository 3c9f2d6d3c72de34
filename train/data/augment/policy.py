"""A policy's steps: which operations an image goes through, and with which values.

The policies draw steps for a whole batch; `transform` applies those of its rows.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from train.base.errors import UserError
from train.data.augment.image_ops import OPERATIONS

NAMES = tuple(OPERATIONS)
IDENTITY = NAMES.index("Identity")
# One step: the operation's place in `NAMES`, and the value that it is given.
STEP = np.dtype([("operation", np.int8), ("value", np.float64)])
CHANNELS = (1, 3)


def indices(names: Sequence[str]) -> np.ndarray:
    """The operations' places in `NAMES`, int8.

    >>> indices(["Identity", "ShearX"])
    array([0, 1], dtype=int8)
    """
    return np.array([NAMES.index(name) for name in names], np.int8)


def steps(operations: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The two as one array of `STEP`s, which has their shape.

    >>> steps(indices(["Invert"]), np.array([0.0]))["operation"]
    array([14], dtype=int8)
    """
    joined = np.empty(operations.shape, STEP)
    joined["operation"], joined["value"] = operations, values
    return joined


def transform(images: np.ndarray, steps: np.ndarray, *, fill: int = 0) -> np.ndarray:
    """Each image through its own steps, the first one first.

    Args:
      images: uint8 `[B, H, W, K]`, grey or RGB; they are left as they are.
      steps: `[B, S]` of `STEP`, as `auto_augment` and `rand_augment` draw them.
      fill: the level, 0 (black) to 255, of what comes in from outside of an image.

    Returns:
      uint8 `[B, H, W, K]`.

    Raises:
      UserError: such images have no such operations, or there is no such level.

    Example:
      >>> black = np.zeros((1, 2, 2, 1), np.uint8)
      >>> inversion = steps(indices(["Invert"])[None], np.zeros((1, 1)))
      >>> transform(black, inversion).ravel()
      array([255, 255, 255, 255], dtype=uint8)
    """
    check(images)
    if not 0 <= fill <= 255:
        raise UserError(f"fill must lie in [0, 255], got {fill}")
    if steps.dtype != STEP or steps.shape[:1] != images.shape[:1] or steps.ndim != 2:
        raise UserError(
            f"steps must be [{len(images)}, S] of policy.STEP, got {steps.dtype} "
            f"{list(steps.shape)}"
        )
    transformed = images.copy()
    for pixels, own in zip(transformed, steps.tolist(), strict=True):
        _transform_one(pixels, own, fill)
    return transformed


def check(images: np.ndarray) -> None:
    """Raises `UserError` unless these are images that a policy can transform."""
    if (
        images.dtype != np.uint8
        or images.ndim != 4
        or images.shape[-1] not in CHANNELS
        or 0 in images.shape[1:3]
    ):
        raise UserError(
            "a policy transforms uint8 images [B, H, W, K] of K = 1 or 3 channels, "
            f"got {images.dtype} {list(images.shape)}"
        )


def _transform_one(
    pixels: np.ndarray, steps: list[tuple[int, float]], fill: int
) -> None:
    """Writes into `pixels`, `[H, W, K]`, what becomes of them."""
    wanted = [(NAMES[index], value) for index, value in steps if index != IDENTITY]
    if not wanted:
        return
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    for name, value in wanted:
        image = OPERATIONS[name](image, value, fill)
    pixels[...] = np.asarray(image).reshape(pixels.shape)
