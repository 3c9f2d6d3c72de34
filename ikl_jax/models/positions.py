"""Positions of a vision transformer's patches, for images of another size."""

import math

import jax
import jax.numpy as jnp

from ikl_jax.types import Array


def side_of(tokens: int) -> int | None:
    """The side of the square of patches beside one class token; None: no square."""
    side = math.isqrt(max(tokens - 1, 0))
    return side if side >= 1 and side * side == tokens - 1 else None


def interpolated(positions: Array, side: int) -> Array:
    """Positions `[1, 1 + side * side, F]`, from those of another square of patches.

    The class token keeps its position. Those of the patches are an image of F channels
    that is resized as timm does it: bicubic (a = -0.5), with antialiasing where the
    square becomes smaller.

    Args:
      positions: `[1, 1 + n * n, F]`, the class token's first, then row by row.
      side: number of patches along each side, >= 1.

    Raises:
      ValueError: the positions are not those of a class token and a square.
    """
    before = side_of(positions.shape[1])
    if before is None:
        raise ValueError(
            "pos_embed must have a position for a class token and for each patch of a "
            f"square, such as 1 + 14 x 14, got {positions.shape[1]}"
        )
    token, patches = positions[:, :1], positions[:, 1:]
    features = positions.shape[-1]
    patches = jax.image.resize(
        patches.reshape(before, before, features), (side, side, features), "cubic"
    )
    return jnp.concatenate([token, patches.reshape(1, -1, features)], axis=1)
