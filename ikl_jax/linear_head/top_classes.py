"""A target of top-k logits as a problem of k + 1 classes.

Class j < k is the j-th of a token's top k, and class k is the rest of the vocabulary:
the classes that take part and are not in the top k.
"""

from typing import NamedTuple

import jax.numpy as jnp

from ikl_jax.divergences.closed_form import or_one, top
from ikl_jax.divergences.derivatives import Derivatives, differentiable
from ikl_jax.linear_head.heads import TopK, TopKWithRest
from ikl_jax.types import Array


class TopClasses(NamedTuple):
    """Which classes are in the top k of each token, and the target's logits.

    Attributes:
      target: `[t, k + 1]`, minus infinity for what is not there.
      indices: `[t, k]`, in [0, V), any where the class is not there.
      is_there: `[t, k]`, whether a class of the top k takes part.
      is_rest: `[t, V]`, whether a class takes part and is not in the top k.
      with_rest: whether the target has a logit for the rest.
    """

    target: Array
    indices: Array
    is_there: Array
    is_rest: Array
    with_rest: bool

    def student(self, n: Array, temperature: Array | None) -> Array:
        """The student's logits, `[t, k + 1]`, of those of all classes, `[t, V]`.

        If the target leaves the rest out, the rest only adds to the normaliser of the
        student's probabilities, so its logit is formed at the loss's temperature.
        """
        picked = jnp.where(self.is_there, self._picked(n), -jnp.inf)
        others = jnp.where(self.is_rest, n, -jnp.inf)
        if self.with_rest or temperature is None:
            temperature = jnp.ones((), n.dtype)
        rest = log_sum_exp(others, jnp.broadcast_to(temperature, n.shape[:1]))
        return jnp.concatenate([picked, rest[:, None]], axis=1)

    def weights(self, w: Array) -> Array:
        """The weights `[t, k + 1]`, of which the rest's is the sum of all others."""
        rest = jnp.sum(jnp.where(self.is_rest, w, 0), axis=1, keepdims=True)
        return jnp.concatenate([self._picked(w), rest], axis=1)

    def _picked(self, x: Array) -> Array:
        return jnp.take_along_axis(x, self.indices, axis=1)


def create(
    target: TopK | TopKWithRest, num_classes: int, where: Array | None
) -> TopClasses:
    """The classes of each token, of which `where` may leave out some.

    A logit at minus infinity is not in the top k. One whose index is out of range is
    NaN.
    """
    logits, indices = target.logits, target.indices
    shape = (*indices.shape[:1], num_classes)
    where = jnp.broadcast_to(True if where is None else where, shape)
    is_known = (indices >= 0) & (indices < num_classes)
    safe = jnp.where(is_known, indices, 0)
    is_there = ~jnp.isneginf(logits) & jnp.take_along_axis(where, safe, axis=1)
    m = jnp.where(is_there, jnp.where(is_known, logits, jnp.nan), -jnp.inf)
    rest = jnp.full(shape[:1], -jnp.inf, m.dtype)
    with_rest = isinstance(target, TopKWithRest)
    if with_rest:
        rest = jnp.where(jnp.any(where, axis=1), target.rest, -jnp.inf)
    tokens = jnp.arange(shape[0], dtype=safe.dtype)[:, None]
    beyond = jnp.where(is_there & is_known, indices, num_classes)
    is_rest = where.at[tokens, beyond].set(False, mode="drop")
    m = jnp.concatenate([m, rest[:, None]], axis=1)
    return TopClasses(m, safe, is_there, is_rest, with_rest)


@differentiable
def log_sum_exp(x: Array, temperature: Array) -> tuple[Array, Derivatives]:
    """T log sum_j exp(x_j / T), `[...]`; minus infinity if all x are."""
    t = temperature[..., None]
    largest = top(x)
    unnormalised = jnp.exp((x - largest) / t)
    total = jnp.sum(unnormalised, axis=-1, keepdims=True)
    log_total = jnp.log(or_one(total))
    value = jnp.where(total == 0, -jnp.inf, largest + t * log_total)

    def by_x() -> Array:
        return unnormalised * (1 / or_one(total))

    def by_temperature() -> Array:
        below = jnp.where(unnormalised > 0, x, largest) - largest
        mean = jnp.sum(by_x() * below, axis=-1, keepdims=True)
        return jnp.squeeze(log_total - mean / t, axis=-1)

    return jnp.squeeze(value, axis=-1), (by_x, by_temperature)
