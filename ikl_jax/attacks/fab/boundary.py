"""A classifier's boundary to first order: the plane that FAB projects onto.

Between the label and another class it is where the difference of their logits is zero.

Reference: Croce & Hein, "Minimally distorted adversarial examples with a fast adaptive
boundary attack", https://arxiv.org/abs/1907.02044, 2020, equations 5 and 6.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp

from ikl_jax.attacks.common import loops, losses
from ikl_jax.attacks.common.geometry import Norm
from ikl_jax.attacks.common.rows import choose
from ikl_jax.types import Array

# Added to a slope that divides a margin, because it may be zero.
SMALLEST = 1e-12

LogitsAt = Callable[[Array], Array]


class Plane(NamedTuple):
    """Where the linearised difference of two logits is zero.

    Attributes:
      margin: `[B]`, the difference at the point: the other class's minus the label's.
      slope: `[B, ...]`, its gradient there; zero where it is not a number.
      logits: `[B, C]`, at the point.
    """

    margin: Array
    slope: Array
    logits: Array


class Boundary(Protocol):
    """Chooses the plane of each example at a point `[B, ...]`."""

    def __call__(
        self,
        logits_at: LogitsAt,
        point: Array,
        labels: Array,
        targets: Array,
        norm: Norm,
        /,
    ) -> Plane: ...


def towards_target(
    logits_at: LogitsAt, point: Array, labels: Array, targets: Array, norm: Norm
) -> Plane:
    """The plane between the label and the target; it costs one backward pass."""

    def total(point: Array) -> tuple[Array, tuple[Array, Array]]:
        logits = logits_at(point)
        margin = losses.target_margin(logits, labels, targets)
        return jnp.sum(margin), (margin, logits)

    slope, (margin, logits) = jax.grad(total, has_aux=True)(point)
    return Plane(margin, _finite(slope), logits)


def towards_nearest(
    logits_at: LogitsAt, point: Array, labels: Array, targets: Array, norm: Norm
) -> Plane:
    """The nearest of the planes between the label and each other class.

    It costs a backward pass for each class. The distance of a plane is measured as if
    there were no box. Targets are ignored.
    """
    labels = labels.astype(jnp.int32)  # `other` may be beyond a narrower dtype
    logits, pull_back = jax.vjp(logits_at, point)
    differences = jnp.eye(logits.shape[-1], dtype=logits.dtype)

    def plane(other: Array) -> tuple[Array, Array, Array]:
        (slope,) = pull_back(differences[other][None] - differences[labels])
        slope = _finite(slope)
        others = jnp.full_like(labels, other)
        margin = losses.target_margin(logits, labels, others)
        steepness = norm.dual(slope.reshape(len(slope), -1))
        distance = jnp.abs(margin) / (steepness + SMALLEST)
        return jnp.where(labels == other, jnp.inf, distance), margin, slope

    def nearer(
        first: tuple[Array, Array, Array], second: tuple[Array, Array, Array]
    ) -> tuple[Array, Array, Array]:
        return choose(second[0] < first[0], second, first)

    _, margin, slope = loops.combined(plane, nearer, logits.shape[-1])
    return Plane(margin, slope, logits)


def _finite(slope: Array) -> Array:
    """With zeros for entries that are not finite, which would spoil all later steps."""
    return jnp.where(jnp.isfinite(slope), slope, 0.0)
