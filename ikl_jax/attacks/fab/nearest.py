"""The nearest misclassified input that a search has met, and its last approach."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp

from ikl_jax.attacks.common import loops
from ikl_jax.attacks.common.geometry import Norm
from ikl_jax.types import Array

# Of the final search: how often it looks, and how far outside of the boundary, as a
# share of the way from where it is expected to the last misclassified point.
LOOKS, OUTWARDS = 3, 0.1

# A point `[B, ...]` and the number of the look to the margin `[B]`, positive where the
# prediction is wrong, and whether it is, `[B]`.
Look = Callable[[Array, int | Array], tuple[Array, Array]]


class Nearest(NamedTuple):
    """The nearest misclassified input that was met.

    Attributes:
      x_adv: `[B, ...]` in [0, 1]; x itself where none was.
      distance: `[B]`, the norm of x_adv - x; infinity where none was.
    """

    x_adv: Array
    distance: Array

    @classmethod
    def none(cls, x: Array) -> "Nearest":
        """Before anything was met."""
        return cls(x, jnp.full(len(x), jnp.inf, x.dtype))

    def or_nearer(
        self, x: Array, point: Array, wrong: Array, norm: Norm, enough: float
    ) -> "Nearest":
        """With `point` where it is wrong and nearer than what is not near enough."""
        distance = norm.size((point - x).reshape(len(x), -1))
        better = wrong & (distance < self.distance) & (self.distance > enough)
        return Nearest(
            jnp.where(rows(better, x), point, self.x_adv),
            jnp.where(better, distance, self.distance),
        )


class _Segment(NamedTuple):
    """Between a point that is not wrong and one that is, with their margins."""

    inner: Array
    outer: Array
    inner_margin: Array
    outer_margin: Array

    def crossing(self) -> Array:
        """A little outside of where a linear margin would be zero."""
        rise = self.outer_margin - self.inner_margin
        share = -self.inner_margin / jnp.where(rise > 0, rise, 1.0)
        share = jnp.clip(share + OUTWARDS * (1.0 - share), 0.0, 1.0)
        point = self.inner + rows(share, self.inner) * (self.outer - self.inner)
        return jnp.clip(point, 0.0, 1.0)

    def cut(self, point: Array, margin: Array, wrong: Array) -> "_Segment":
        """With `point` as one of the ends."""
        at_outer = rows(wrong, point)
        return _Segment(
            jnp.where(at_outer, self.inner, point),
            jnp.where(at_outer, point, self.outer),
            jnp.where(wrong, self.inner_margin, margin),
            jnp.where(wrong, margin, self.outer_margin),
        )


def final_search(
    look: Look, nearest: Nearest, x: Array, norm: Norm, enough: float
) -> Nearest:
    """Goes back from the nearest towards `x`, up to the boundary.

    Each look is at where the boundary would be if the margin were linear between the
    last points on its two sides.

    Reference: https://arxiv.org/abs/1907.02044, its final search; there it aims at the
    boundary itself, which where it is flat is as likely missed as met.
    """
    ends = (x, nearest.x_adv)
    margins = [look(end, number)[0] for number, end in enumerate(ends)]

    def step(state: tuple[Nearest, _Segment], i: Array) -> tuple[Nearest, _Segment]:
        nearest, segment = state
        point = segment.crossing()
        margin, wrong = look(point, i)
        nearest = nearest.or_nearer(x, point, wrong, norm, enough)
        return nearest, segment.cut(point, margin, wrong)

    start = nearest, _Segment(*ends, *margins)
    # There is no gradient, so that a loop is quick on all backends.
    return loops.repeat(step, start, LOOKS, first=len(ends), unroll=1)[0]


def rows(values: Array, x: Array) -> Array:
    """`[B]` as `[B, 1, ...]`, beside `x`."""
    return values.reshape(values.shape + (1,) * (x.ndim - 1))
