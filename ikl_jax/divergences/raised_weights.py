"""GKL's weights w^gamma and their normaliser, which neither underflow nor overflow."""

import jax
import jax.numpy as jnp

from ikl_jax.divergences.closed_form import Weights, or_one, top
from ikl_jax.divergences.inputs import Inputs
from ikl_jax.types import Array


def normalised_power(
    inputs: Inputs, weights: Array | None, gamma: Array, log_normalizer: Array | None
) -> Weights:
    """w^gamma over the root of its normaliser.

    The weights of each example are divided by its largest one before they are raised to
    the power. What they were divided by is kept as a logarithm.

    Args:
      inputs: the logits.
      weights: w, `[..., C]`, checked. None: softmax(m).
      gamma: `[...]`.
      log_normalizer: `[...]`, the logarithm of the mean over the batch of
        (sum_j w_j^gamma)^2. None: that of this batch.

    Returns:
      Weights of at most 1, and their factor. A class that does not take part is masked
      even if gamma is 0.
    """
    power, log_largest = _power(inputs, weights, gamma)
    if log_normalizer is None:
        log_normalizer = log_mean(_log_squared_total(inputs, power, log_largest))
    factor = jnp.exp(log_largest - 0.5 * log_normalizer)
    power, factor = jax.lax.stop_gradient((power, factor))
    return Weights(power, factor, inputs.is_masked)


def log_squared_total(inputs: Inputs, weights: Array | None, gamma: Array) -> Array:
    """log (sum_j w_j^gamma)^2 of each example, `[...]`, of which `log_mean` is taken.

    It is NaN for an example that does not count in that mean.
    """
    return _log_squared_total(inputs, *_power(inputs, weights, gamma))


def log_mean(logarithms: Array) -> Array:
    """The logarithm of the mean of what the logarithms are of; NaN does not count."""
    counts = ~jnp.isnan(logarithms)
    logarithms = jnp.where(counts, logarithms, -jnp.inf)
    largest = jnp.max(logarithms, initial=-jnp.inf)
    largest = jnp.where(jnp.isneginf(largest), 0.0, largest)
    count = jnp.maximum(jnp.sum(counts.astype(logarithms.dtype)), 1.0)
    mean = jnp.sum(jnp.exp(logarithms - largest)) / count
    return largest + jnp.log(or_one(mean))


def _power(inputs: Inputs, weights: Array | None, gamma: Array) -> tuple[Array, Array]:
    """w^gamma over its largest entry, and the logarithm of that."""
    if weights is None:
        return _of_softmax(inputs.m, gamma)
    return _of_weights(weights, gamma)


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


def _log_squared_total(inputs: Inputs, power: Array, log_largest: Array) -> Array:
    total = jnp.sum(jnp.where(inputs.is_masked, 0.0, power), axis=-1)
    takes_part = jnp.isfinite(total) & ~jnp.all(inputs.is_masked, axis=-1)
    squared = 2 * (log_largest + jnp.log(or_one(total)))
    squared = jnp.where(total > 0, squared, -jnp.inf)
    return jnp.where(takes_part, squared, jnp.nan)
