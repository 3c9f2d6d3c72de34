"""Sums of losses with weights, whose gradients are formed before their factor is known.

In the forward pass the gradients of the sum are known but for the cotangent, which
multiplies them all in the backward pass.
"""

import jax.numpy as jnp

from ikl_jax.types import Array


def weighted_sum(weights: Array, losses: Array) -> Array:
    """The sum of the products; a weight of zero leaves out whatever it multiplies."""
    return jnp.sum(jnp.where(weights != 0, weights * losses, 0.0))


def times(gradient: Array, cotangent: Array) -> Array:
    """The product, rounded to no narrower dtype than either has."""
    dtype = wider(gradient.dtype, cotangent.dtype)
    return gradient.astype(dtype) * cotangent.astype(dtype)


def wider(*dtypes: jnp.dtype) -> jnp.dtype:
    """The dtype with the most bytes."""
    return max(dtypes, key=lambda dtype: dtype.itemsize)


def kept_dtype(given: jnp.dtype, of_losses: jnp.dtype) -> jnp.dtype:
    """The dtype that gradients are kept in until the cotangent multiplies them.

    That of the array: logits are large, and so is their gradient. In float16 they could
    be zero before a loss scale multiplies them.
    """
    return given if has_range_of_float32(given) else of_losses


def has_range_of_float32(dtype: jnp.dtype) -> bool:
    """Whether a dtype has numbers as small and as large as float32 has."""
    return jnp.finfo(dtype).nexp >= jnp.finfo(jnp.float32).nexp
