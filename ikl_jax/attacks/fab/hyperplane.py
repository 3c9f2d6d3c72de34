"""The nearest point of the box that lies on a hyperplane, in l-infinity, l2 and l1.

A plane is given by its normal `w` and by the `value` of its linear function at `x`: a
step `delta` reaches it if <w, delta> = -value. The offset of the plane is not needed,
so no two large and nearly equal numbers are subtracted.

Reference: Croce & Hein, "Minimally distorted adversarial examples with a fast adaptive
boundary attack", https://arxiv.org/abs/1907.02044, 2020, section 2.1.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ikl_jax.attacks.common import largest
from ikl_jax.types import Array


class _Approach(NamedTuple):
    """How each coordinate can move towards the plane, `[B, D]`.

    The plane is scaled so that the largest entry of |w| is 1.

    Attributes:
      direction: the sign of the move that gets nearer; 0 where no move does.
      weight: how much nearer a move of 1 gets.
      room: how far the coordinate can move within the box.
      shortfall: `[B, 1]`, how much is missing to the plane.
    """

    direction: Array
    weight: Array
    room: Array
    shortfall: Array


def _approach(x: Array, w: Array, value: Array) -> _Approach:
    largest = jnp.max(jnp.abs(w), axis=-1, keepdims=True, initial=0.0)
    scale = jnp.where(largest > 0, largest, 1.0)
    direction = -jnp.sign(value)[:, None] * jnp.sign(w)
    room = jnp.where(direction > 0, 1.0 - x, x)
    room = jnp.where(direction == 0, 0.0, jnp.maximum(room, 0.0))
    return _Approach(
        direction, jnp.abs(w) / scale, room, jnp.abs(value)[:, None] / scale
    )


def _step_at(approach: _Approach, rate: Array) -> Array:
    """The step in which coordinates move at their `rate`, up to the box or the plane.

    The progress towards the plane is an increasing, concave and piecewise linear
    function of time. So Newton's method from time 0 does not overshoot, and is exact
    after as many iterations as it meets pieces. These are few; sorting the ends of the
    pieces would cost CPUs 20 times as much. An example that has arrived does not change
    while others go on.
    """
    _, weight, room, shortfall = approach
    end = jnp.where(room > 0, room / jnp.where(rate > 0, rate, 1.0), 0.0)
    gain, slope = weight * room, weight * rate

    def later(time: Array) -> Array:
        done = end <= time
        gained = jnp.sum(jnp.where(done, gain, 0.0), axis=-1, keepdims=True)
        speed = jnp.sum(jnp.where(done, 0.0, slope), axis=-1, keepdims=True)
        there = (shortfall - gained) / jnp.where(speed > 0, speed, 1.0)
        return jnp.where(speed > 0, jnp.maximum(time, there), time)

    zero = jnp.zeros_like(shortfall)
    time, _ = jax.lax.while_loop(
        lambda times: jnp.any(times[0] > times[1]),
        lambda times: (later(times[0]), times[0]),
        (later(zero), zero),
    )
    return approach.direction * jnp.minimum(time * rate, room)


def _linf_step_to(x: Array, w: Array, value: Array) -> Array:
    """All coordinates move at the same rate, until they reach the box."""
    approach = _approach(x, w, value)
    return _step_at(approach, jnp.ones_like(approach.weight))


def _l2_step_to(x: Array, w: Array, value: Array) -> Array:
    """Each coordinate moves at the rate of its weight, until it reaches the box."""
    approach = _approach(x, w, value)
    return _step_at(approach, approach.weight)


def _l1_step_to(x: Array, w: Array, value: Array) -> Array:
    """Coordinates of the largest weights move up to the box; equal ones share."""
    approach = _approach(x, w, value)
    gain = approach.weight * approach.room
    last = largest.last_weight(approach.weight, gain, approach.shortfall)
    larger, equal = approach.weight > last, approach.weight == last
    gained = jnp.sum(jnp.where(larger, gain, 0.0), axis=-1, keepdims=True)
    rest = jnp.sum(jnp.where(equal, gain, 0.0), axis=-1, keepdims=True)
    share = (approach.shortfall - gained) / jnp.where(rest > 0, rest, 1.0)
    share = jnp.where(larger, 1.0, jnp.where(equal, jnp.clip(share, 0.0, 1.0), 0.0))
    return approach.direction * approach.room * share


# `(x [B, D], w [B, D], value [B])` to `[B, D]`, by the norm's name: the smallest step
# from `x` in [0, 1] to a point of the plane in [0, 1]. Where the box has no such point,
# the step goes as near to the plane as the box allows; coordinates with w = 0 stay.
STEP_TO: dict[str, Callable[[Array, Array, Array], Array]] = {
    "linf": _linf_step_to,
    "l2": _l2_step_to,
    "l1": _l1_step_to,
}
