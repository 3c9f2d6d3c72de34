"""Random keys that belong to an example, whatever batch it is in."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ikl_jax.types import Array, Scalar


def as_keys(key: Any) -> Array:
    """Keys of `jax.random.key`, or those that old-style keys stand for.

    Raises:
      TypeError: it is no key.
    """
    key = jnp.asarray(key) if isinstance(key, np.ndarray) else key
    if isinstance(key, jax.Array):
        if jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
            return key
        words = jax.eval_shape(lambda: jax.random.key_data(jax.random.key(0))).shape
        if key.dtype == jnp.uint32 and key.shape[-1:] == words:
            return jax.random.wrap_key_data(key)
        got = f"{key.dtype} {key.shape}"
    else:
        got = repr(key)
    raise TypeError(f"key must be a key such as jax.random.key(0), got {got}")


def example_keys(key: Array, batch_size: int) -> Array:
    """One key for each example: `key` folded with the row's index, or `[B]` as given.

    Raises:
      ValueError: there is neither one key nor `[B]`.
      TypeError: they are no keys of `jax.random.key` or `jax.random.PRNGKey`.
    """
    key = as_keys(key)
    if key.shape == (batch_size,):
        return key
    if key.shape == ():
        return jax.vmap(lambda row: jax.random.fold_in(key, row))(
            jnp.arange(batch_size)
        )
    raise ValueError(
        f"key must be one key or {batch_size} keys of jax.random.key, "
        f"got {key.dtype} {key.shape}"
    )


def fold_each(keys: Array, number: Scalar) -> Array:
    """`[B]` keys, each folded with the same number."""
    return jax.vmap(jax.random.fold_in, (0, None))(keys, number)
