"""How APGD moves in l1 balls: by few coordinates at a time.

The number of coordinates adapts to the number that the best point has changed.

Reference: Croce & Hein, "Mind the box: l1-APGD for sparse adversarial attacks on image
classifiers", https://arxiv.org/abs/2103.01208, 2021.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ikl_jax.attacks.apgd.halving import Phase, Point, share
from ikl_jax.attacks.common import l1_box
from ikl_jax.attacks.common.rows import choose
from ikl_jax.types import Array, Scalar

# The larger balls that come first: radii in units of epsilon, and shares of all steps.
LARGER_RADII = ((3.0, 0.3), (2.0, 0.3))
INTERVAL = 0.04
# The best point counts as sparser if it changes less than 19/20 of the coordinates that
# it changed before. Whole numbers, so that rounding decides nothing.
SPARSER, OF = 19, 20
SHORTER, SHORTEST = 1.5, 10.0


class Sparsity(NamedTuple):
    """The memory of `SparseSteps`, all `[B]`.

    Attributes:
      step_size: the length of a step.
      changed: in how many coordinates the best point differed from the natural input
        at the last checkpoint. A step changes two thirds as many.
    """

    step_size: Array
    changed: Array


class SparseSteps:
    """Steps along the signs of the gradient's largest entries.

    If the best point has become sparser at a checkpoint, the search goes back to it
    with steps of full length (the radius). If not, steps become shorter, down to a
    tenth of the radius. The search starts in larger balls, whose best points are
    projected.
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
        noise = jax.vmap(lambda key: jax.random.normal(key, x.shape[1:]))(keys)
        return x + noise.astype(x.dtype)

    def project(self, x_adv: Array, x: Array, epsilon: Scalar) -> Array:
        return l1_box.into(x_adv - x, x, epsilon)

    def begin(self, x: Array, now: Point, epsilon: Scalar) -> Sparsity:
        return Sparsity(jnp.full(len(x), epsilon, x.dtype), _changed(now.x, x))

    def move(
        self, x: Array, now: Point, memory: Sparsity, number: Array, epsilon: Scalar
    ) -> tuple[Array, Sparsity]:
        sizes = jnp.abs(now.gradient).reshape(len(x), -1)
        most = jnp.maximum((2 * memory.changed + 2) // 3, 1)
        rank = (sizes.shape[-1] - most)[:, None]
        least = jnp.take_along_axis(jnp.sort(sizes, axis=-1), rank, axis=-1)
        signs = jnp.sign(now.gradient).reshape(sizes.shape)
        signs = jnp.where(sizes >= least, signs, 0.0)
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


def _changed(x_adv: Array, x: Array) -> Array:
    """In how many coordinates they differ, `[B]`."""
    return jnp.sum((x_adv != x).reshape(len(x), -1), axis=-1)
