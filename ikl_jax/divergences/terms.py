"""KL, and the two terms that the decoupled losses are made of."""

import jax

from ikl_jax import checks
from ikl_jax.divergences import closed_form
from ikl_jax.divergences.inputs import prepared, prepared_weights
from ikl_jax.divergences.kullback_leibler import kl
from ikl_jax.types import Array, Scalar


def kl_divergence(
    logits: Array, target_logits: Array, *, temperature: Scalar = 1.0
) -> Array:
    """Computes the Kullback-Leibler divergence of two sets of logits.

    `KL(softmax(target_logits / T) || softmax(logits / T))`, without a factor T^2.

    Args:
      logits: `[..., C]`, the prediction n. Receives gradient.
      target_logits: `[..., C]`, the target m. Receives gradient.
      temperature: T > 0, for both sides.

    Returns:
      `[...]`, one divergence per example.

    Raises:
      ValueError: the shapes differ, or the temperature is not positive.
      TypeError: logits are not floating point.

    Examples:
      >>> import jax.numpy as jnp, ikl_jax
      >>> n, m = jnp.array([0.0, 0.0]), jnp.array([jnp.log(3.0), 0.0])
      >>> print(f"{ikl_jax.kl_divergence(n, m):.4f}")
      0.1308
    """
    n, m, dtype = prepared(logits, target_logits)
    checks.positive(temperature=temperature)
    return kl(n / temperature, m / temperature).astype(dtype)


def soft_cross_entropy(
    logits: Array,
    target_logits: Array,
    *,
    temperature: Scalar = 1.0,
    target_temperature: Scalar | None = None,
) -> Array:
    """Computes the cross-entropy between the softmax of the target and the prediction.

    `-sum_j softmax(target_logits / T')_j log softmax(logits / T)_j`, without a factor
    T^2. It is the second term of Theorem 1 (arXiv 2305.13948).

    Args:
      logits: `[..., C]`, the prediction n. Receives gradient.
      target_logits: `[..., C]`, the target m. Stopped.
      temperature: T > 0, of the prediction.
      target_temperature: T' > 0, of the target. None: the same as `temperature`.

    Returns:
      `[...]`, one value per example.

    Raises:
      ValueError: the shapes differ, or a temperature is not positive.
      TypeError: logits are not floating point.

    Examples:
      >>> import jax.numpy as jnp, ikl_jax
      >>> print(f"{ikl_jax.soft_cross_entropy(jnp.zeros(4), jnp.arange(4.0)):.4f}")
      1.3863
    """
    n, m, dtype = prepared(logits, target_logits)
    loss = tempered_cross_entropy(n, m, temperature, target_temperature)
    return loss.astype(dtype)


def tempered_cross_entropy(
    n: Array,
    m: Array,
    temperature: Scalar = 1.0,
    target_temperature: Scalar | None = None,
) -> Array:
    """`soft_cross_entropy` of logits that are already prepared, not cast back."""
    if target_temperature is None:
        target_temperature = temperature
    checks.positive(temperature=temperature, target_temperature=target_temperature)
    m = jax.lax.stop_gradient(m)
    return closed_form.cross_entropy(n / temperature, m / target_temperature)


def weighted_mse(logits: Array, target_logits: Array, weights: Array) -> Array:
    """Computes the weighted squared error of pairwise logit differences (wMSE).

    `1/4 sum_jk w_j w_k ((m_j - m_k) - (n_j - n_k))^2`, in a closed form that is linear
    in the number of classes. It is the first term of Theorem 1 (arXiv 2305.13948), the
    quarter included.

    Args:
      logits: `[..., C]`, the prediction n. Receives gradient.
      target_logits: `[..., C]`, the target m. Receives gradient.
      weights: `[..., C]`, w >= 0, which need not sum to 1. Stopped.

    Returns:
      `[...]`, one value per example; zero, with zero gradients, for zero weights.

    Raises:
      ValueError: the shapes differ, or a weight is negative (where it is known).
      TypeError: logits or weights are not floating point.

    Examples:
      >>> import jax.numpy as jnp, ikl_jax
      >>> n, m, w = jnp.zeros(2), jnp.array([2.0, 0.0]), jnp.array([0.5, 0.5])
      >>> print(ikl_jax.weighted_mse(n, m, w))
      0.5
    """
    n, m, dtype = prepared(logits, target_logits)
    w = prepared_weights(weights, n)
    loss = closed_form.weighted_variance(n, m, w, closed_form.ONE)
    return loss.astype(dtype)
