"""The two terms of the decoupled losses in closed form, with their own gradients.

With weights w, W = sum_j w_j, d = m - n and the weighted mean mu = sum_j w_j d_j / W,
the paper's sum over pairs of classes is

    1/4 sum_jk w_j w_k ((m_j - m_k) - (n_j - n_k))^2
        = 1/4 sum_jk w_j w_k (d_j - d_k)^2
        = 1/2 (W sum_j w_j d_j^2 - (sum_j w_j d_j)^2)
        = 1/2 W sum_j w_j (d_j - mu)^2,

half a weighted variance of the logit difference, linear in C. Its derivative
with respect to m_j is W w_j (d_j - mu), and minus that with respect to n_j.

Each term is a `jax.custom_vjp` whose forward pass already forms the gradient: when
compiled, value and gradient share their passes over the logits, and each softmax is
recomputed from its normaliser instead of being kept.

The functions here take logits that are already checked and in the compute dtype.
"""

import jax
import jax.numpy as jnp

from ikl_jax.types import Array

ONE = 1.0  # the factor of weights that are used as they are


def or_one(x: Array) -> Array:
    """`x`, or 1 where it is zero: a denominator for what is zero there anyway."""
    return jnp.where(x > 0, x, jnp.ones_like(x))


def sample_weights(target_logits: Array) -> tuple[Array, Array]:
    """The stopped softmax of `target_logits`, as unnormalised weights and a factor."""
    m = jax.lax.stop_gradient(target_logits)
    w = jnp.exp(m - jnp.max(m, axis=-1, keepdims=True))
    return w, 1 / jnp.sum(w, axis=-1, keepdims=True)


@jax.custom_vjp
def weighted_variance(n: Array, m: Array, w: Array, factor: Array | float) -> Array:
    """The wMSE with weights factor * w; w is `[..., C]`, factor `[..., 1]` or a number.

    Both logits receive gradient, `w` and `factor` do not.
    """
    return _weighted_variance_forward(n, m, w, factor)[0]


def _weighted_variance_forward(
    n: Array, m: Array, w: Array, factor: Array | float
) -> tuple[Array, Array]:
    total = jnp.sum(w, axis=-1, keepdims=True)
    difference = m - n
    mean = jnp.sum(w * difference, axis=-1, keepdims=True) / or_one(total)
    # The corrected two-pass variance. The mean of large differences is rounded to
    # their precision. Without the correction, this error would be the whole result
    # where a single class has all the weight.
    centred = difference - mean
    residue = jnp.sum(w * centred, axis=-1, keepdims=True) / or_one(total)
    squares = jnp.sum(w * jnp.square(centred), axis=-1, keepdims=True)
    scale = factor * factor * total
    value = 0.5 * scale * (squares - total * jnp.square(residue))
    return jnp.squeeze(value, axis=-1), scale * w * (centred - residue)


def _weighted_variance_backward(
    gradient: Array, cotangent: Array
) -> tuple[Array, Array, None, None]:
    gradient = cotangent[..., None] * gradient
    return -gradient, gradient, None, None


weighted_variance.defvjp(_weighted_variance_forward, _weighted_variance_backward)


@jax.custom_vjp
def cross_entropy(n: Array, m: Array) -> Array:
    """-sum_j softmax(m)_j log softmax(n)_j; only `n` receives gradient."""
    return _cross_entropy_forward(n, m)[0]


def _cross_entropy_forward(n: Array, m: Array) -> tuple[Array, Array]:
    # The order of operations decides how many arrays XLA keeps between its passes.
    # Here it keeps one, exp(m - max), which the wMSE's sample weights share. It is
    # normalised by a product, because XLA would keep a quotient as a second array.
    # softmax(n) is computed again from its log-normaliser. That sum is rounded to the
    # precision of a large logit, so the rounding error is added back.
    top_n = jnp.max(n, axis=-1, keepdims=True)
    top_m = jnp.max(m, axis=-1, keepdims=True)
    unnormalised_p = jnp.exp(m - top_m)
    sum_p = jnp.sum(unnormalised_p, axis=-1, keepdims=True)
    log_sum_q = jnp.log(jnp.sum(jnp.exp(n - top_n), axis=-1, keepdims=True))
    expected = jnp.sum(unnormalised_p * (n - top_n), axis=-1, keepdims=True) / sum_p

    normaliser = top_n + log_sum_q
    rounding = (normaliser - top_n) - log_sum_q
    gradient = jnp.exp((n - normaliser) + rounding) - unnormalised_p * (1 / sum_p)
    return jnp.squeeze(log_sum_q - expected, axis=-1), gradient


def _cross_entropy_backward(gradient: Array, cotangent: Array) -> tuple[Array, None]:
    return cotangent[..., None] * gradient, None


cross_entropy.defvjp(_cross_entropy_forward, _cross_entropy_backward)
