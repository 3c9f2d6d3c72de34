"""The two terms of the decoupled losses in closed form, with their own gradients.

With weights w, W = sum_j w_j, d = m - n and the weighted mean mu = sum_j w_j d_j / W,
the paper's sum over pairs of classes is

    1/4 sum_jk w_j w_k ((m_j - m_k) - (n_j - n_k))^2
        = 1/4 sum_jk w_j w_k (d_j - d_k)^2
        = 1/2 (W sum_j w_j d_j^2 - (sum_j w_j d_j)^2)
        = 1/2 W sum_j w_j (d_j - mu)^2,

half a weighted variance of the logit difference, linear in C. Its derivative
with respect to m_j is W w_j (d_j - mu), and minus that with respect to n_j.

When a loss and its gradients are compiled together, they share their passes over the
logits, and each softmax is recomputed from its normaliser instead of being kept.

The functions here take logits that are already checked and in the compute dtype.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax.lax import stop_gradient

from ikl_jax.divergences.derivatives import Derivatives, differentiable
from ikl_jax.types import Array


def or_one(x: Array) -> Array:
    """`x`, or 1 where it is zero: a denominator for what is zero there anyway."""
    return jnp.where(x > 0, x, jnp.ones_like(x))


def top(x: Array) -> Array:
    """The largest logit, `[..., 1]`, stopped; finite if all are minus infinity."""
    smallest = jnp.finfo(x.dtype).min
    return jnp.max(stop_gradient(x), axis=-1, keepdims=True, initial=smallest)


def zero_without(weight: Array, x: Array) -> Array:
    """`x` <= 0, or zero where `weight` >= 0 is zero: zero times anything is zero.

    `x` may be minus infinity where the weight is zero. A select would do the same, but
    XLA would keep its result as an array. Where there is weight, the bound below is
    infinite; two factors, because the smallest weight times one is finite, with a
    minimum between them, because XLA would multiply the factors by each other.
    """
    largest = jnp.finfo(x.dtype).max
    return jnp.maximum(x, -jnp.minimum(weight * largest, 2.0) * largest)


class Weights(NamedTuple):
    """Weights of the wMSE, stopped.

    Attributes:
      w: `[..., C]`, unnormalised.
      factor: `[...]`, to multiply `w` by.
      is_masked: `[..., C]`, boolean, where the weight is zero whatever `w` is.
    """

    w: Array
    factor: Array
    is_masked: Array


def sample_weights(target_logits: Array) -> Weights:
    """The softmax of `target_logits`; zero for minus infinity by itself."""
    m = stop_gradient(target_logits)
    w = jnp.exp(m - top(m))
    factor = 1 / or_one(jnp.sum(w, axis=-1))
    return Weights(w, factor, jnp.zeros(m.shape, bool))


@differentiable
def weighted_variance(
    n: Array, m: Array, w: Array, factor: Array, is_masked: Array
) -> tuple[Array, Derivatives]:
    """The wMSE with weights factor * w, zero where masked; factor is `[...]`.

    Both logits receive gradient, `w` and `factor` do not. A class of weight zero adds
    nothing, whatever its logits are.
    """
    # XLA keeps the masked weights and one array of differences between its passes, in
    # the memory of the two gradients. `kept == 0` and `is_nothing` say the same. If one
    # of them stood in both places, XLA would keep a second array of differences.
    kept = jnp.where(is_masked, 0.0, w)
    is_nothing = is_masked | (w == 0)
    total = jnp.sum(kept, axis=-1, keepdims=True)
    difference = jnp.where(is_nothing, 0.0, m - n)
    mean = jnp.sum(kept * difference, axis=-1, keepdims=True) / or_one(total)
    is_infinite = ~jnp.isfinite(mean)  # a difference is, or it is NaN
    mean = jnp.where(is_infinite, 0.0, mean)
    # The corrected two-pass variance. The mean of large differences is rounded to
    # their precision. Without the correction, this error would be the whole result
    # where a single class has all the weight.
    centred = jnp.where(kept == 0, 0.0, m - n) - mean
    residue = jnp.sum(kept * centred, axis=-1, keepdims=True) / or_one(total)
    residue = jnp.where(is_infinite, 0.0, residue)
    squares = jnp.sum(kept * jnp.square(centred), axis=-1, keepdims=True)
    scale = jnp.square(factor)[..., None] * total
    value = 0.5 * scale * (squares - total * jnp.square(residue))
    value = jnp.where(jnp.isposinf(squares), jnp.inf, value)

    def gradient() -> Array:
        return scale * kept * jnp.where(is_infinite, 0.0, centred - residue)

    derivatives = (lambda: -gradient(), gradient, None, None, None)
    return jnp.squeeze(value, axis=-1), derivatives


@differentiable
def cross_entropy(
    n: Array, m: Array, inverse: Array, target_inverse: Array
) -> tuple[Array, Derivatives]:
    """-sum_j softmax(m / T')_j log softmax(n / T)_j, of 1/T and 1/T', both `[...]`.

    `n` and both temperatures receive gradient, `m` does not.
    """
    m = stop_gradient(m)  # in derivatives of the derivatives, too
    # The order of operations decides how many arrays XLA keeps between its passes.
    # Here it keeps one, exp(m - max), which the wMSE's sample weights share. It is
    # normalised by a product, because XLA would keep a quotient as a second array; so
    # logits are multiplied by 1/T, too. softmax(n) is computed again from its
    # log-normaliser. That sum is rounded to the precision of a large logit, so the
    # rounding error is added back. The largest logit is subtracted before the logits
    # are scaled: a compiler may round a scaled logit in one way for the maximum and in
    # another for the difference.
    s, target_s = inverse[..., None], target_inverse[..., None]
    top_n, top_m = top(n), top(m)
    unnormalised_p = jnp.exp((m - top_m) * target_s)
    sum_p = jnp.sum(unnormalised_p, axis=-1, keepdims=True)
    sum_q = jnp.sum(jnp.exp((n - top_n) * s), axis=-1, keepdims=True)
    # Zero only if all logits are minus infinity. If they are so in both, no class is
    # left, and the loss is zero.
    is_empty = (sum_p == 0) & (sum_q == 0)
    sum_p, sum_q = (jnp.where(is_empty, 1.0, x) for x in (sum_p, sum_q))
    log_sum_q = jnp.log(sum_q)
    below_top = zero_without(unnormalised_p, (n - top_n) * s)
    expected = jnp.sum(unnormalised_p * below_top, axis=-1, keepdims=True) / sum_p
    value = log_sum_q - expected

    def q() -> Array:
        normaliser = top_n + log_sum_q / s
        rounding = (normaliser - top_n) - log_sum_q / s
        return jnp.exp(((n - normaliser) + rounding) * s)

    def by_n() -> Array:
        return s * (q() - unnormalised_p * (1 / sum_p))

    def by_inverse() -> Array:
        finite = jnp.where(jnp.isneginf(n), top_n, n) - top_n
        below = jnp.sum(q() * finite, axis=-1, keepdims=True)
        return jnp.squeeze(below - expected / s, axis=-1)

    def by_target_inverse() -> Array:
        p = unnormalised_p * (1 / sum_p)
        excess = p * (expected - below_top)  # p (log_sum_q - below_top - value)
        finite = jnp.where(unnormalised_p > 0, m, top_m) - top_m
        return jnp.sum(excess * finite, axis=-1)

    return jnp.squeeze(value, axis=-1), (by_n, None, by_inverse, by_target_inverse)
