"""KL of two softmax distributions, with derivatives that keep their precision.

The function here takes logits that are already checked and in the compute dtype.
"""

import jax
import jax.numpy as jnp

from ikl_jax.types import Array


@jax.custom_jvp
def kl(n: Array, m: Array) -> Array:
    """KL(softmax(m) || softmax(n)); both logits receive gradient."""
    return _value_and_gradients(n, m)[0]


@kl.defjvp
def _kl_jvp(
    primals: tuple[Array, Array], tangents: tuple[Array, Array]
) -> tuple[Array, Array]:
    value, *gradients = _value_and_gradients(*primals)
    products = [g * t for g, t in zip(gradients, tangents, strict=True)]
    return value, jnp.sum(products[0] + products[1], axis=-1)


def _value_and_gradients(n: Array, m: Array) -> tuple[Array, Array, Array]:
    q, log_sum_q = _softmax_and_log_sum(n)
    p, log_sum_p = _softmax_and_log_sum(m)
    log_ratio = (m - n) - (log_sum_p - log_sum_q)
    # KL = sum p r with r = log(p / q). Adding sum (q - p), which is zero, makes every
    # term p (r + exp(-r) - 1) non-negative. Where p is close to q, a series for
    # r + exp(-r) - 1 avoids cancellation.
    close = jnp.abs(log_ratio) < 0.5
    terms = jnp.where(
        close,
        p * _exp_remainder(jnp.where(close, log_ratio, 0.0)),
        p * log_ratio + (q - p),
    )
    value = jnp.sum(terms, axis=-1)
    # The gradient p (r - KL) sums to zero. Rounding leaves a small sum: remove it.
    gradient = p * (log_ratio - value[..., None])
    gradient -= p * jnp.sum(gradient, axis=-1, keepdims=True)
    return value, q - p, gradient


def _softmax_and_log_sum(x: Array) -> tuple[Array, Array]:
    top = jnp.max(x, axis=-1, keepdims=True)
    unnormalised = jnp.exp(x - top)
    total = jnp.sum(unnormalised, axis=-1, keepdims=True)
    return unnormalised * (1 / total), top + jnp.log(total)


def _exp_remainder(r: Array) -> Array:
    """r + exp(-r) - 1 = r^2/2! - r^3/3! + ..., to float64 precision for |r| < 0.5."""
    series = jnp.ones_like(r)
    for k in range(16, 2, -1):
        series = 1.0 - series * r / k
    return 0.5 * jnp.square(r) * series
