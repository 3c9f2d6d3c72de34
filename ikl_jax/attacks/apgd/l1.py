"""How APGD moves in l1 balls: few coordinates at a time, as many as have paid.

Reference: Croce & Hein, "Mind the box: l1-APGD for sparse adversarial attacks on image
classifiers", https://arxiv.org/abs/2103.01208, 2021.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ikl_jax.attacks.apgd.halving import Phase, Point, choose, share
from ikl_jax.types import Array, Scalar

# Radii in units of epsilon, and the share of all steps that each is searched for.
LARGER_RADII = ((3.0, 0.3), (2.0, 0.3))
INTERVAL = 0.04
# The best point must keep less than this share of its coordinates to count as sparser.
# In whole numbers, like all that is counted here: results must not hang on rounding.
SPARSER, OF = 19, 20
SHORTER, SHORTEST = 1.5, 10.0


class Sparsity(NamedTuple):
    """What `SparseSteps` remembers of each example, all `[B]`.

    Attributes:
      step_size: the length of a step.
      changed: of the best point at the last checkpoint, how many coordinates differ
        from the natural input's. A step changes two thirds as many.
    """

    step_size: Array
    changed: Array


class SparseSteps:
    """Steps along the signs of the gradient's largest entries.

    At a checkpoint, where the best point has become sparser, the search goes back to
    it with steps of full length (the radius); elsewhere they become shorter, down to a
    tenth of it. The search starts in larger balls, whose best points are projected.
    """

    def phases(self, epsilon: float, steps: int) -> list[Phase]:
        phases, left = [], steps
        for radius, part in LARGER_RADII:
            here = min(math.ceil(part * steps), left)
            phases.append(Phase(radius * epsilon, here))
            left -= here
        return [*phases, Phase(epsilon, left)]

    def checkpoints(self, steps: int) -> np.ndarray:
        interval = share(INTERVAL, steps)
        ends = np.arange(1, steps + 1) % interval == 0
        return np.where(ends, interval, 0).astype(np.int32)

    def start(self, x: Array, keys: Array, epsilon: Scalar) -> Array:
        return x + jax.vmap(lambda key: jax.random.normal(key, x.shape[1:]))(keys)

    def project(self, x_adv: Array, x: Array, epsilon: Scalar) -> Array:
        return project_l1_in_box(x_adv, x, epsilon)

    def begin(self, x: Array, now: Point, epsilon: Scalar) -> Sparsity:
        return Sparsity(jnp.full_like(now.loss, epsilon), _changed(now.x, x))

    def move(
        self, x: Array, now: Point, memory: Sparsity, number: Array, epsilon: Scalar
    ) -> tuple[Array, Sparsity]:
        sizes = jnp.abs(now.gradient).reshape(len(x), -1)
        most = jnp.maximum((2 * memory.changed + 2) // 3, 1)
        rank = (sizes.shape[-1] - most)[:, None]
        least = jnp.take_along_axis(jnp.sort(sizes, axis=-1), rank, axis=-1)
        signs = jnp.sign(now.gradient).reshape(sizes.shape) * (sizes >= least)
        count = jnp.sum(jnp.abs(signs), axis=-1)
        step = signs * (memory.step_size / jnp.maximum(count, 1.0))[:, None]
        x_adv = self.project(now.x + step.reshape(x.shape), x, epsilon)
        return x_adv, memory

    def adapt(
        self,
        x: Array,
        now: Point,
        best: Point,
        memory: Sparsity,
        interval: Array,
        epsilon: Scalar,
    ) -> tuple[Point, Sparsity]:
        check = interval > 0
        changed = _changed(best.x, x)
        sparser = OF * changed < SPARSER * memory.changed
        shorter = jnp.maximum(memory.step_size / SHORTER, epsilon / SHORTEST)
        new = Sparsity(jnp.where(sparser, epsilon, shorter), changed)
        memory = choose(jnp.broadcast_to(check, changed.shape), new, memory)
        return choose(check & sparser, best, now), memory


def project_l1_in_box(x_adv: Array, x: Array, epsilon: Scalar) -> Array:
    """The nearest point with l1 distance to `x` at most epsilon and values in [0, 1].

    All coordinates of the difference shrink by the same amount, none beyond zero,
    after which the box cuts them. The sum of what is left falls with that amount,
    piecewise linearly: an entry matters from where the box no longer cuts it to where
    it is zero. So it is solved exactly among these sorted ends.

    Args:
      x_adv: `[B, ...]`, any values.
      x: `[B, ...]` in [0, 1].
      epsilon: the radius, >= 0.
    """
    delta = (x_adv - x).reshape(len(x), -1)
    flat = x.reshape(len(x), -1)
    size = jnp.abs(delta)
    room = jnp.where(delta > 0, 1.0 - flat, flat)
    amount = _shrinkage(size, room, epsilon)[:, None]
    shrunk = jnp.sign(delta) * jnp.clip(size - amount, 0.0, room)
    # Sums round: the box must hold exactly.
    return jnp.clip(x + shrunk.reshape(x.shape), 0.0, 1.0)


def _shrinkage(size: Array, room: Array, epsilon: Scalar) -> Array:
    """The least amount >= 0, `[B]`, with sum(clip(size - amount, 0, room)) <= epsilon.

    `size` and `room` are `[B, N]`, >= 0.
    """
    free_from = jnp.maximum(size - room, 0.0)
    ends = jnp.concatenate([free_from, size], axis=-1)
    enters = jnp.concatenate([jnp.ones_like(size), -jnp.ones_like(size)], axis=-1)
    ends, enters = jax.lax.sort((ends, enters), dimension=-1, num_keys=1)
    # Between one end and the next, the sum falls with the number of free entries.
    free = jnp.cumsum(enters, axis=-1)
    falls = jnp.cumsum(free[:, :-1] * jnp.diff(ends, axis=-1), axis=-1)
    left = jnp.sum(jnp.minimum(size, room), axis=-1)
    before = jnp.sum(falls < (left - epsilon)[:, None], axis=-1, keepdims=True)
    bounds = [
        jnp.take_along_axis(ends, jnp.minimum(before + later, ends.shape[-1] - 1), -1)
        for later in (0, 1)
    ]
    # Which entries are free there is now known: their sum anew, without the rounding
    # of thousands of additions.
    middle = (bounds[0] + bounds[1]) / 2
    is_free = (free_from <= middle) & (middle < size)
    cut = middle < free_from
    held = jnp.sum(jnp.where(is_free, size, jnp.where(cut, room, 0.0)), axis=-1)
    amount = (held - epsilon) / jnp.maximum(jnp.sum(is_free, axis=-1), 1)
    amount = jnp.clip(amount, bounds[0][:, 0], bounds[1][:, 0])
    return jnp.where(left > epsilon, amount, 0.0)


def _changed(x_adv: Array, x: Array) -> Array:
    """In how many coordinates they differ, `[B]`."""
    return jnp.sum((x_adv != x).reshape(len(x), -1), axis=-1)
