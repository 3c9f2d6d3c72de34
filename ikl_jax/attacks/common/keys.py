"""Random keys that belong to an example, whatever batch it is in."""

import jax
import jax.numpy as jnp

from ikl_jax.types import Array, Scalar


def example_keys(key: Array, batch_size: int) -> Array:
    """One key for each example: `key` folded with the row's index, or `[B]` as given.

    Raises:
      ValueError: `key` is neither one key nor `[B]` keys of `jax.random.key`.
    """
    is_key = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    if is_key and key.shape == (batch_size,):
        return key
    if is_key and key.shape == ():
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
