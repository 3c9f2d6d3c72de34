"""How APGD moves and when it halves its steps, in l-infinity and l2 balls.

Reference: Croce & Hein, "Reliable evaluation of adversarial robustness with an ensemble
of diverse parameter-free attacks", https://arxiv.org/abs/2003.01690, 2020, section 3.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from ikl_jax.attacks.common import geometry
from ikl_jax.attacks.common.rows import choose, spread
from ikl_jax.types import Array, Scalar

# The share of a step in the new direction; the rest is the step before.
MOMENTUM = 0.75
# Intervals between checkpoints, as shares of all steps: the first one, by how much each
# later one is shorter, and the shortest.
FIRST_INTERVAL, SHORTER_BY, SHORTEST_INTERVAL = 0.22, 0.03, 0.06


class Point(NamedTuple):
    """Inputs `[B, ...]`, the loss there, `[B]`, and its gradient `[B, ...]`."""

    x: Array
    loss: Array
    gradient: Array


class Phase(NamedTuple):
    """A part of the search, in a ball of its own radius."""

    epsilon: float
    steps: int


class Rules(Protocol):
    """The rules of a norm: where the search starts, moves and goes back to.

    What they remember between steps, `memory`, is a pytree that only they read.
    """

    def phases(self, epsilon: float, steps: int) -> list[Phase]:
        """The phases of a search; each starts at the best point of the one before."""
        ...

    def checkpoints(self, steps: int) -> np.ndarray:
        """`[steps]`: at a checkpoint, the steps since the last one; elsewhere 0."""
        ...

    def start(self, x: Array, keys: Array, epsilon: Scalar) -> Array:
        """A random point for each example, which may lie outside of ball and box."""
        ...

    def project(self, x_adv: Array, x: Array, epsilon: Scalar) -> Array:
        """Into the ball around `x` and into the box."""
        ...

    def begin(self, x: Array, now: Point, epsilon: Scalar) -> Any:
        """The memory at the start of a phase."""
        ...

    def move(
        self, x: Array, now: Point, memory: Any, number: Array, epsilon: Scalar
    ) -> tuple[Array, Any]:
        """The next input, in ball and box; steps count from 0 in each phase."""
        ...

    def adapt(
        self,
        x: Array,
        now: Point,
        best: Point,
        memory: Any,
        interval: Array,
        epsilon: Scalar,
    ) -> tuple[Point, Any]:
        """After a step to `now`: the point to go on from, `now` or `best`.

        `interval` is the step's entry of `checkpoints`.
        """
        ...


class Halvings(NamedTuple):
    """The memory of `HalvedSteps`, `[B]` except for the first.

    Attributes:
      x_before: `[B, ...]`, where the previous step started.
      step_size: the length of a step.
      loss_before: the loss after the previous step.
      increases: how many steps since the last checkpoint increased the loss.
      best_at_check: the best loss at the last checkpoint.
      halved_at_check: whether the step size was halved there.
    """

    x_before: Array
    step_size: Array
    loss_before: Array
    increases: Array
    best_at_check: Array
    halved_at_check: Array


@dataclasses.dataclass(frozen=True)
class HalvedSteps:
    """Steepest steps with momentum, whose length is halved where the loss stalls.

    The step size starts at twice the radius. At a checkpoint it is halved, and the
    search goes back to the best point, if too few steps since the last checkpoint
    increased the loss, or if neither the best loss nor the step size has changed.

    Attributes:
      norm: of the ball.
      direction: `(key, shape)`, one example's random direction of norm 1.
      rho: if at most this share of the steps increased the loss, they are too few.
      loss_before_start: the loss that the first step must exceed to count as an
        increase; None for the loss at the start.
    """

    norm: geometry.Norm
    direction: Callable[[Array, tuple[int, ...]], Array]
    rho: float
    loss_before_start: float | None

    def phases(self, epsilon: float, steps: int) -> list[Phase]:
        return [Phase(epsilon, steps)]

    def checkpoints(self, steps: int) -> np.ndarray:
        lengths = np.zeros(steps, np.int32)
        interval = share(FIRST_INTERVAL, steps)
        end = interval
        while end <= steps:
            lengths[end - 1] = interval
            interval = max(
                interval - share(SHORTER_BY, steps), share(SHORTEST_INTERVAL, steps)
            )
            end += interval
        return lengths

    def start(self, x: Array, keys: Array, epsilon: Scalar) -> Array:
        directions = jax.vmap(lambda key: self.direction(key, x.shape[1:]))(keys)
        return x + epsilon * directions.astype(x.dtype)

    def project(self, x_adv: Array, x: Array, epsilon: Scalar) -> Array:
        return geometry.into(x_adv, x, epsilon, self.norm, geometry.BOX)

    def begin(self, x: Array, now: Point, epsilon: Scalar) -> Halvings:
        before = self.loss_before_start
        return Halvings(
            x_before=now.x,
            # The loss of a network in float64 has more digits than the input.
            step_size=jnp.full(len(x), 2.0 * epsilon, x.dtype),
            loss_before=now.loss if before is None else jnp.full_like(now.loss, before),
            increases=jnp.zeros(len(x), jnp.int32),
            best_at_check=now.loss,
            # At the first checkpoint only the share of increasing steps counts.
            halved_at_check=jnp.ones(len(x), bool),
        )

    def move(
        self, x: Array, now: Point, memory: Halvings, number: Array, epsilon: Scalar
    ) -> tuple[Array, Halvings]:
        step = spread(memory.step_size, x) * self.norm.steepest(now.gradient)
        ahead = self.project(now.x + step, x, epsilon)
        new_share = jnp.where(number == 0, 1.0, MOMENTUM)
        x_adv = (
            now.x
            + (ahead - now.x) * new_share
            + (now.x - memory.x_before) * (1 - new_share)
        )
        return self.project(x_adv, x, epsilon), memory._replace(x_before=now.x)

    def adapt(
        self,
        x: Array,
        now: Point,
        best: Point,
        memory: Halvings,
        interval: Array,
        epsilon: Scalar,
    ) -> tuple[Point, Halvings]:
        check = interval > 0
        increases = memory.increases + (now.loss > memory.loss_before).astype(jnp.int32)
        allowed = self.rho * interval.astype(jnp.float32)
        too_few = increases.astype(jnp.float32) <= allowed
        stuck = ~memory.halved_at_check & (memory.best_at_check >= best.loss)
        halve = check & (too_few | stuck)
        memory = memory._replace(
            step_size=jnp.where(halve, memory.step_size / 2, memory.step_size),
            loss_before=now.loss,
            increases=jnp.where(check, 0, increases),
            best_at_check=jnp.where(check, best.loss, memory.best_at_check),
            halved_at_check=jnp.where(check, halve, memory.halved_at_check),
        )
        return choose(halve, best, now), memory


def linf_direction(key: Array, shape: tuple[int, ...]) -> Array:
    """A uniform point of the cube, stretched until it touches a face."""
    inside = jax.random.uniform(key, shape, minval=-1.0, maxval=1.0)
    size = jnp.max(jnp.abs(inside))
    return inside / jnp.where(size > 0, size, 1.0)


def l2_direction(key: Array, shape: tuple[int, ...]) -> Array:
    """A uniform point of the sphere."""
    return geometry.unit(jax.random.normal(key, (1, *shape)))[0]


def share(part: float, steps: int) -> int:
    """That share of the steps, rounded down, but at least one."""
    return max(int(part * steps), 1)
