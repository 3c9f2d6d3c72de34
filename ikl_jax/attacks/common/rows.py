"""One value for each example, beside arrays of examples `[B, ...]`."""

from typing import Any

import jax
import jax.numpy as jnp

from ikl_jax.types import Array


def spread(values: Array, x: Array) -> Array:
    """`[B]` as `[B, 1, ...]` with the rank of `x`, so that the two broadcast."""
    return values.reshape(values.shape + (1,) * (x.ndim - 1))


def choose(where: Array, chosen: Any, other: Any) -> Any:
    """The rows of `chosen` where `where` `[B]` holds, and of `other` elsewhere.

    Both are pytrees of `[B, ...]`.
    """
    return jax.tree.map(lambda a, b: jnp.where(spread(where, a), a, b), chosen, other)
