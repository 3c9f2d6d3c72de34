"""Projection onto the part of an l1 ball that lies in the box [0, 1].

Projecting onto the ball first and onto the box afterwards ends inside of both, but not
at the nearest point: what the box cuts off could have been spent elsewhere.

Reference: Croce & Hein, "Mind the box: l1-APGD for sparse adversarial attacks on image
classifiers", https://arxiv.org/abs/2103.01208, 2021, proposition 2.1.
"""

import jax
import jax.numpy as jnp

from ikl_jax.attacks.common import geometry
from ikl_jax.types import Array, Scalar


def into(delta: Array, x: Array, epsilon: Scalar) -> Array:
    """The nearest point to `x + delta` in the l1 ball around `x` and in [0, 1]."""
    # The sum rounds, and the box must hold exactly.
    return jnp.clip(x + project(delta, x, epsilon), *geometry.BOX)


def project(delta: Array, x: Array, epsilon: Scalar) -> Array:
    """The nearest perturbation of at most `epsilon` that keeps `x` in [0, 1].

    All coordinates shrink by the same amount, none beyond zero, and the box cuts them.
    The amount is the one with which the sizes add up to epsilon, or zero if they add up
    to less anyway.

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
    """The amount, `[B]`, by bisection, which costs CPUs much less than a sort."""

    def halve(_: Array, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bracket
        middle = 0.5 * (low + high)
        total = jnp.sum(jnp.clip(size - middle[:, None], 0.0, room), axis=-1)
        outside = total > epsilon
        return jnp.where(outside, middle, low), jnp.where(outside, high, middle)

    fits = jnp.sum(jnp.minimum(size, room), axis=-1) <= epsilon
    none = jnp.zeros_like(size[:, 0])
    # Until the bracket is as narrow as the dtype can tell: 24 times in float32.
    halvings = jnp.finfo(size.dtype).nmant + 1
    low, high = jax.lax.fori_loop(
        0, halvings, halve, (none, jnp.max(size, axis=-1, initial=0.0))
    )
    # The total is piecewise linear in the amount, and hardly any of its bends are left
    # in the bracket: the secant solves for the rest, and lies within the bracket.
    at = lambda amount: jnp.sum(jnp.clip(size - amount[:, None], 0.0, room), axis=-1)
    above, below = at(low), at(high)
    slope = jnp.where(above > below, above - below, 1.0)
    amount = low + (high - low) * jnp.clip((above - epsilon) / slope, 0.0, 1.0)
    return jnp.where(fits, none, amount)
