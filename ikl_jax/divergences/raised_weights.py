"""GKL's weights w^gamma and their normaliser, which neither underflow nor overflow."""

import jax
import jax.numpy as jnp

from ikl_jax.divergences.closed_form import Weights, or_one, top
from ikl_jax.divergences.inputs import Inputs
from ikl_jax.types import Array


def normalised_power(
    inputs: Inputs, weights: Array | None, gamma: Array, normalizer: Array | None
) -> Weights:
    """w^gamma over the root of its normaliser.

    The weights of each example are divided by its largest one before they are raised to
    the power. What they were divided by is kept as a logarithm.

    Args:
      inputs: the logits.
      weights: w, `[..., C]`, checked. None: softmax(m).
      gamma: `[...]`.
      normalizer: `[...]`, the mean over the batch of (sum_j w_j^gamma)^2. None: that of
        this batch.

    Returns:
      Weights of at most 1, and their factor. A class that does not take part is masked
      even if gamma is 0.
    """
    if weights is None:
        power, log_largest = _of_softmax(inputs.m, gamma)
    else:
        power, log_largest = _of_weights(weights, gamma)
    if normalizer is None:
        log_normalizer = _log_normalizer(inputs, power, log_largest)
    else:
        log_normalizer = jnp.log(or_one(normalizer))
    factor = jnp.exp(log_largest - 0.5 * log_normalizer)
    power, factor = jax.lax.stop_gradient((power, factor))
    return Weights(power, factor, inputs.is_masked)


def _of_softmax(m: Array, gamma: Array) -> tuple[Array, Array]:
    """softmax(m)^gamma over its largest entry, and the logarithm of that."""
    m = jax.lax.stop_gradient(m)
    below_top = m - top(m)
    total = jnp.sum(jnp.exp(below_top), axis=-1)
    # Gamma 0 times minus infinity is NaN; the caller sets those weights to zero.
    finite = jnp.maximum(below_top, jnp.finfo(m.dtype).min)
    return jnp.exp(gamma[..., None] * finite), -gamma * jnp.log(or_one(total))


def _of_weights(w: Array, gamma: Array) -> tuple[Array, Array]:
    """w^gamma over its largest entry, and the logarithm of that."""
    largest = or_one(jnp.max(w, axis=-1))
    power = jnp.power(w / largest[..., None], gamma[..., None])
    return power, gamma * jnp.log(largest)


def _log_normalizer(inputs: Inputs, power: Array, log_largest: Array) -> Array:
    """log mean_b (sum_j w_bj^gamma)^2, over the examples that take part."""
    total = jnp.sum(jnp.where(inputs.is_masked, 0.0, power), axis=-1)
    takes_part = jnp.isfinite(total) & ~jnp.all(inputs.is_masked, axis=-1)
    squared = 2 * (log_largest + jnp.log(or_one(total)))
    squared = jnp.where(takes_part & (total > 0), squared, -jnp.inf)
    largest = jnp.max(squared, initial=-jnp.inf)
    largest = jnp.where(jnp.isneginf(largest), 0.0, largest)
    count = jnp.maximum(jnp.sum(takes_part.astype(total.dtype)), 1.0)
    mean = jnp.sum(jnp.exp(squared - largest)) / count
    return largest + jnp.log(or_one(mean))
