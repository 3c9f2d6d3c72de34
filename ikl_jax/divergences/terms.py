"""KL, and the two terms that the decoupled losses are made of."""

from ikl_jax.divergences import closed_form
from ikl_jax.divergences.inputs import Inputs, prepared
from ikl_jax.divergences.kullback_leibler import kl
from ikl_jax.types import Array, Scalar


def kl_divergence(
    logits: Array,
    target_logits: Array,
    *,
    temperature: Scalar = 1.0,
    where: Array | None = None,
) -> Array:
    """Computes the Kullback-Leibler divergence of two sets of logits.

    `KL(softmax(target_logits / T) || softmax(logits / T))`, without a factor T^2.

    Args:
      logits: `[..., C]`, the prediction n. Receives gradient.
      target_logits: `[..., C]`, the target m. Receives gradient.
      temperature: T > 0, for both sides, a scalar or `[...]`. Receives gradient.
      where: the classes that take part; see `ikl_jax.divergences`.

    Returns:
      `[...]`, one divergence per example, never negative. It is infinite if the target
      gives probability to a class where the prediction is minus infinity. The gradient
      with respect to the prediction is q - p there, too; that with respect to the
      target is zero.

    Raises:
      ValueError: the shapes differ, or the temperature is not positive.
      TypeError: logits are not floating point, or `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp, ikl_jax
      >>> n, m = jnp.array([0.0, 0.0]), jnp.array([jnp.log(3.0), 0.0])
      >>> print(f"{ikl_jax.kl_divergence(n, m):.4f}")
      0.1308
    """
    inputs = prepared(logits, target_logits, where)
    (inverse,) = inputs.inverse(temperature=temperature)
    return kl(inputs.n, inputs.m, inverse).astype(inputs.dtype)


def soft_cross_entropy(
    logits: Array,
    target_logits: Array,
    *,
    temperature: Scalar = 1.0,
    target_temperature: Scalar | None = None,
    where: Array | None = None,
) -> Array:
    """Computes the cross-entropy between the softmax of the target and the prediction.

    `-sum_j softmax(target_logits / T')_j log softmax(logits / T)_j`, without a factor
    T^2. It is the second term of Theorem 1 (arXiv 2305.13948).

    Args:
      logits: `[..., C]`, the prediction n. Receives gradient.
      target_logits: `[..., C]`, the target m. Stopped.
      temperature: T > 0, of the prediction, a scalar or `[...]`. Receives gradient.
      target_temperature: T' > 0, of the target, a scalar or `[...]`. Receives gradient.
        None: the same as `temperature`, which then receives the gradient of both.
      where: the classes that take part; see `ikl_jax.divergences`.

    Returns:
      `[...]`, one value per example. It is infinite if the target gives probability to
      a class where the prediction is minus infinity; the gradient is q - p all the
      same.

    Raises:
      ValueError: the shapes differ, or a temperature is not positive.
      TypeError: logits are not floating point, or `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp, ikl_jax
      >>> print(f"{ikl_jax.soft_cross_entropy(jnp.zeros(4), jnp.arange(4.0)):.4f}")
      1.3863
    """
    inputs = prepared(logits, target_logits, where)
    loss = tempered_cross_entropy(inputs, temperature, target_temperature)
    return loss.astype(inputs.dtype)


def tempered_cross_entropy(
    inputs: Inputs,
    temperature: Scalar = 1.0,
    target_temperature: Scalar | None = None,
) -> Array:
    """`soft_cross_entropy` of logits that are already prepared, not cast back."""
    (inverse,) = inputs.inverse(temperature=temperature)
    target_inverse = inverse
    if target_temperature is not None:
        (target_inverse,) = inputs.inverse(target_temperature=target_temperature)
    return closed_form.cross_entropy(inputs.n, inputs.m, inverse, target_inverse)


def weighted_mse(
    logits: Array,
    target_logits: Array,
    weights: Array,
    *,
    where: Array | None = None,
) -> Array:
    """Computes the weighted squared error of pairwise logit differences (wMSE).

    `1/4 sum_jk w_j w_k ((m_j - m_k) - (n_j - n_k))^2`, in a closed form that is linear
    in the number of classes. It is the first term of Theorem 1 (arXiv 2305.13948), the
    quarter included.

    Args:
      logits: `[..., C]`, the prediction n. Receives gradient.
      target_logits: `[..., C]`, the target m. Receives gradient.
      weights: `[..., C]`, w >= 0, which need not sum to 1. Stopped.
      where: the classes that take part; see `ikl_jax.divergences`.

    Returns:
      `[...]`, one value per example; zero, with zero gradients, for zero weights. A
      class of weight zero adds nothing, whatever its logits are. An infinite difference
      that has weight gives infinity, with zero gradients.

    Raises:
      ValueError: the shapes differ, or a weight is negative (where it is known).
      TypeError: logits or weights are not floating point, or `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp, ikl_jax
      >>> n, m, w = jnp.zeros(2), jnp.array([2.0, 0.0]), jnp.array([0.5, 0.5])
      >>> print(ikl_jax.weighted_mse(n, m, w))
      0.5
    """
    inputs = prepared(logits, target_logits, where)
    w = inputs.as_given(inputs.weights(weights, where))
    loss = closed_form.weighted_variance(inputs.n, inputs.m, *w)
    return loss.astype(inputs.dtype)
