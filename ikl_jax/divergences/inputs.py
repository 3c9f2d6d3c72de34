"""Checks of the losses' arguments, and the dtype that the losses compute in."""

import jax
import jax.numpy as jnp

from ikl_jax import checks
from ikl_jax.types import Array


def prepared(logits: Array, target_logits: Array) -> tuple[Array, Array, jnp.dtype]:
    """Both logits, checked, in the compute dtype; and the dtype of the result."""
    logits, target_logits = jnp.asarray(logits), jnp.asarray(target_logits)
    checks.same_shape(logits=logits, target_logits=target_logits)
    checks.floating(logits=logits, target_logits=target_logits)
    checks.rank_at_least(1, logits=logits)
    if not logits.shape[-1]:
        raise ValueError(
            f"logits must have at least one class, got shape {logits.shape}"
        )
    dtype = jnp.promote_types(logits.dtype, jnp.float32)
    return logits.astype(dtype), target_logits.astype(dtype), logits.dtype


def prepared_weights(weights: Array, logits: Array) -> Array:
    """The weights, checked against prepared `logits`, in their dtype, stopped."""
    weights = jnp.asarray(weights)
    checks.same_shape(weights=weights, logits=logits)
    checks.floating(weights=weights)
    checks.non_negative(weights=weights)
    return jax.lax.stop_gradient(weights.astype(logits.dtype))
