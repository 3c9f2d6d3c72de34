"""The l1 ball within the box: a projection of its own.

A point brought into the l1 ball and then into the box is in both, but gives away what
the box cuts off.

Reference: Croce & Hein, "Mind the box: l1-APGD for sparse adversarial attacks on image
classifiers", https://arxiv.org/abs/2103.01208, 2021, proposition 2.1.
"""

import jax
import jax.numpy as jnp

from ikl_jax.types import Array, Scalar

# Each halves the bracket of the shrinkage; what is left is solved exactly.
HALVINGS = 24


def project(delta: Array, x: Array, epsilon: Scalar) -> Array:
    """The nearest perturbation of at most `epsilon` that keeps `x` in [0, 1].

    Every coordinate is shrunk by the same amount and cut at the box, and the amount is
    what makes the sizes add up to epsilon, or zero where they do not reach it.

    Args:
      delta: `[B, ...]`.
      x: `[B, ...]` in [0, 1].
      epsilon: the l1 ball's radius, >= 0.
    """
    size = jnp.abs(delta).reshape(len(delta), -1)
    room = jnp.where(delta > 0, 1.0 - x, x).reshape(len(delta), -1)
    amount = _shrinkage(size, room, epsilon)
    shrunk = jnp.clip(size - amount[:, None], 0.0, room)
    return jnp.sign(delta) * shrunk.reshape(delta.shape)


def _shrinkage(size: Array, room: Array, epsilon: Scalar) -> Array:
    def halve(_: Array, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bracket
        middle = 0.5 * (low + high)
        total = jnp.sum(jnp.clip(size - middle[:, None], 0.0, room), axis=-1)
        outside = total > epsilon
        return jnp.where(outside, middle, low), jnp.where(outside, high, middle)

    fits = jnp.sum(jnp.minimum(size, room), axis=-1) <= epsilon
    none = jnp.zeros_like(size[:, 0])
    low, high = jax.lax.fori_loop(
        0, HALVINGS, halve, (none, jnp.max(size, axis=-1, initial=0.0))
    )
    # The total is linear in the amount between the bends, of which hardly any are left
    # in the bracket.
    at = lambda amount: jnp.sum(jnp.clip(size - amount[:, None], 0.0, room), axis=-1)
    above, below = at(low), at(high)
    slope = jnp.where(above > below, above - below, 1.0)
    # The secant lies within the bracket.
    amount = low + (high - low) * jnp.clip((above - epsilon) / slope, 0.0, 1.0)
    return jnp.where(fits, none, amount)
