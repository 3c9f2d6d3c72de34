"""The steps of a policy: the operations that an image goes through, with their values.

Policies draw steps for a whole batch; `transform` applies the steps of some rows.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from train.base.errors import UserError
from train.data.augment import arguments
from train.data.augment.image_ops import OPERATIONS

NAMES = tuple(OPERATIONS)
IDENTITY = NAMES.index("Identity")
# One step: the operation's position in `NAMES`, and its value.
STEP = np.dtype([("operation", np.int8), ("value", np.float64)])
CHANNELS = (1, 3)


def indices(names: Sequence[str]) -> np.ndarray:
    """The operations' positions in `NAMES`, int8.

    >>> indices(["Identity", "ShearX"])
    array([0, 1], dtype=int8)
    """
    return np.array([NAMES.index(name) for name in names], np.int8)


def steps(operations: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Operations and values as one array of `STEP`, of the same shape.

    >>> steps(indices(["Invert"]), np.array([0.0]))["operation"]
    array([14], dtype=int8)
    """
    joined = np.empty(operations.shape, STEP)
    joined["operation"], joined["value"] = operations, values
    return joined


def transform(images: np.ndarray, steps: np.ndarray, *, fill: int = 0) -> np.ndarray:
    """Applies its own steps to each image, in order.

    Args:
      images: uint8 `[B, H, W, K]`, grey or RGB; not changed in place.
      steps: `[B, S]` of `STEP`, as `auto_augment` and `rand_augment` draw them.
      fill: the level, 0 (black) to 255, of pixels from outside of an image.

    Returns:
      uint8 `[B, H, W, K]`.

    Raises:
      UserError: the images are of another kind, the steps do not fit them, or `fill`
        is no level.

    Example:
      >>> black = np.zeros((1, 2, 2, 1), np.uint8)
      >>> inversion = steps(indices(["Invert"])[None], np.zeros((1, 1)))
      >>> transform(black, inversion).ravel()
      array([255, 255, 255, 255], dtype=uint8)
    """
    check(images)
    arguments.within(0, 255, fill=fill)
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
    """Raises `UserError` unless a policy can transform the images."""
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
    """Transforms one image `[H, W, K]` in place."""
    wanted = [(NAMES[index], value) for index, value in steps if index != IDENTITY]
    if not wanted:
        return
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    for name, value in wanted:
        image = OPERATIONS[name](image, value, fill)
    pixels[...] = np.asarray(image).reshape(pixels.shape)
