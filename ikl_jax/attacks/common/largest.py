"""The coordinates of the largest weights that together have a given room."""

import jax
import jax.numpy as jnp

from ikl_jax.types import Array, Scalar


def spend(weight: Array, room: Array, amount: Scalar) -> Array:
    """Divides an amount between coordinates, the largest weights first.

    Each gets as much as it has room for, until the amount is spent. Of equal weights,
    the first coordinate comes first.

    Args:
      weight: `[B, D]`, >= 0.
      room: `[B, D]`, >= 0.
      amount: >= 0.

    Returns:
      `[B, D]`.
    """
    weight = jnp.minimum(weight, jnp.finfo(weight.dtype).max)
    total = jnp.full((len(weight), 1), amount, weight.dtype)
    last = last_weight(weight, room, total)
    larger = weight > last
    rest = total - jnp.sum(jnp.where(larger, room, 0.0), axis=-1, keepdims=True)
    equal = jnp.where(weight == last, room, 0.0)
    before = jnp.cumsum(equal, axis=-1) - equal
    return jnp.where(larger, room, jnp.clip(rest - before, 0.0, equal))


def last_weight(weight: Array, gain: Array, shortfall: Array) -> Array:
    """The smallest weight that has to move, `[B, 1]`.

    It is the largest weight such that the gains of all weights from it upwards cover
    the shortfall, or 0 if they never do. A bisection finds it, which ends when no other
    weight lies in the range, and costs CPUs a tenth of a sort.
    """

    def extremes(ends: tuple[Array, Array]) -> tuple[Array, Array]:
        inside = (weight > ends[0]) & (weight < ends[1])
        least = jnp.min(weight, -1, keepdims=True, initial=jnp.inf, where=inside)
        return least, jnp.max(weight, -1, keepdims=True, initial=0.0, where=inside)

    def is_open(ends: tuple[Array, Array]) -> Array:
        least, most = extremes(ends)
        return jnp.any(least <= most)

    def narrower(ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        least, most = extremes(ends)
        middle = least + 0.5 * (most - least)  # the sum could overflow
        gained = jnp.sum(jnp.where(weight >= middle, gain, 0.0), -1, keepdims=True)
        covers = gained >= shortfall
        some = least <= most
        return (
            jnp.where(some & covers, middle, low),
            jnp.where(some & ~covers, middle, high),
        )

    start = (jnp.zeros_like(shortfall), jnp.full_like(shortfall, jnp.inf))
    return jax.lax.while_loop(is_open, narrower, start)[0]
