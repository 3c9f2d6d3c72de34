"""KL of two softmax distributions, with derivatives that keep their precision.

The functions here take logits that are already checked and in the compute dtype.
"""

import jax.numpy as jnp

from ikl_jax.divergences.closed_form import top
from ikl_jax.divergences.derivatives import Derivatives, differentiable
from ikl_jax.types import Array

# Two rows of logits whose largest ones are farther apart are not compared as they are.
FAR = 16.0


@differentiable
def kl(n: Array, m: Array, inverse: Array) -> tuple[Array, Derivatives]:
    """KL(softmax(m / T) || softmax(n / T)), of 1/T, `[...]`; all receive gradient."""
    s = inverse[..., None]
    top_n, top_m = top(n), top(m)
    unnormalised_q, unnormalised_p = jnp.exp((n - top_n) * s), jnp.exp((m - top_m) * s)
    sum_q = jnp.sum(unnormalised_q, axis=-1, keepdims=True)
    sum_p = jnp.sum(unnormalised_p, axis=-1, keepdims=True)
    # Zero only if all logits are minus infinity. If they are so in both, no class is
    # left, and the divergence is zero.
    is_empty = (sum_q == 0) & (sum_p == 0)
    sum_q, sum_p = (jnp.where(is_empty, 1.0, x) for x in (sum_q, sum_p))
    q, p = unnormalised_q * (1 / sum_q), unnormalised_p * (1 / sum_p)
    is_zero = p == 0  # it is NaN if the target is minus infinity everywhere
    # Close logits are subtracted from each other first, because their difference is
    # exact, however large an offset they have in common. Where the offsets are far
    # apart, each is removed first: a large one would round the other logits away.
    is_far = jnp.abs(top_n - top_m) > FAR
    offset_n, offset_m = (jnp.where(is_far, x, 0.0) for x in (top_n, top_m))
    difference = (m - offset_m) - (n - offset_n)
    difference -= (top_m - offset_m) - (top_n - offset_n)
    log_ratio = difference * s - (jnp.log(sum_p) - jnp.log(sum_q))
    # KL = sum p r with r = log(p / q). Adding sum (q - p), which is zero, makes every
    # term p (r + exp(-r) - 1) non-negative. Where p is close to q, a series for
    # r + exp(-r) - 1 avoids cancellation. Where p is zero, the term is q.
    close = jnp.abs(log_ratio) < 0.5
    remainder = p * _exp_remainder(jnp.where(close, log_ratio, 0.0))
    terms = jnp.where(close, remainder, jnp.maximum(p * log_ratio + (q - p), 0.0))
    value = jnp.sum(jnp.where(is_zero, q, terms), axis=-1, keepdims=True)

    def by_scaled_m() -> Array:
        # p (r - KL) sums to zero. Rounding leaves a small sum: remove it.
        is_nothing = is_zero | jnp.isposinf(value)
        products = jnp.where(is_nothing, 0.0, unnormalised_p * (log_ratio - value))
        rounding = jnp.sum(products, axis=-1, keepdims=True) / sum_p
        return jnp.where(is_nothing, 0.0, p * ((log_ratio - value) - rounding))

    def by_inverse() -> Array:
        below_n = jnp.where(jnp.isneginf(n), top_n, n) - top_n
        below_m = jnp.where(is_zero, top_m, m) - top_m
        return jnp.sum((q - p) * below_n + by_scaled_m() * below_m, axis=-1)

    return jnp.squeeze(value, axis=-1), (
        lambda: s * (q - p),
        lambda: s * by_scaled_m(),
        by_inverse,
    )


def _exp_remainder(r: Array) -> Array:
    """r + exp(-r) - 1 = r^2/2! - r^3/3! + ..., to float64 precision for |r| < 0.5."""
    series = jnp.ones_like(r)
    for k in range(16, 2, -1):
        series = 1.0 - series * r / k
    return 0.5 * jnp.square(r) * series
