"""The nearest misclassified input that a search has met, and the final search."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp

from ikl_jax.attacks.common import loops
from ikl_jax.attacks.common.geometry import Norm
from ikl_jax.attacks.common.rows import spread
from ikl_jax.types import Array

# The final search: how many points it tries, and how far outside of the boundary, as a
# share of the way from the expected crossing to the last misclassified point.
LOOKS, OUTWARDS = 3, 0.1

# A point `[B, ...]` and its number to the margin `[B]`, which is positive where the
# prediction is wrong, and to whether it is wrong, `[B]`.
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
        """The state before anything was met."""
        return cls(x, jnp.full(len(x), jnp.inf, x.dtype))

    def or_nearer(
        self, x: Array, point: Array, wrong: Array, norm: Norm, enough: float
    ) -> "Nearest":
        """With `point` where it is better.

        A misclassified point replaces the nearest so far if it is closer and that one
        is still farther than `enough`.
        """
        distance = norm.size((point - x).reshape(len(x), -1))
        better = wrong & (distance < self.distance) & (self.distance > enough)
        return Nearest(
            jnp.where(spread(better, x), point, self.x_adv),
            jnp.where(better, distance, self.distance),
        )

    def shaped(self, x: Array) -> "Nearest":
        """With `x_adv` in the shape of `x`."""
        return self._replace(x_adv=self.x_adv.reshape(x.shape))


class _Segment(NamedTuple):
    """From a point with the right prediction to one with a wrong one."""

    inner: Array
    outer: Array
    inner_margin: Array
    outer_margin: Array

    def crossing(self) -> Array:
        """A point a little outside of where a linear margin would be zero."""
        rise = self.outer_margin - self.inner_margin
        share = -self.inner_margin / jnp.where(rise > 0, rise, 1.0)
        share = jnp.clip(share + OUTWARDS * (1.0 - share), 0.0, 1.0)
        share = share.astype(self.inner.dtype)
        point = self.inner + spread(share, self.inner) * (self.outer - self.inner)
        return jnp.clip(point, 0.0, 1.0)

    def cut(self, point: Array, margin: Array, wrong: Array) -> "_Segment":
        """With `point` as one of the ends."""
        at_outer = spread(wrong, point)
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

    Each point that it tries lies near to where the boundary would be if the margin were
    linear between the last points on its two sides. The paper's final search aims at
    the boundary itself, and misses a flat one every other time.

    Reference: https://arxiv.org/abs/1907.02044.
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
    # No gradient is computed, so a loop is quick on all backends.
    return loops.repeat(step, start, LOOKS, first=len(ends), unroll=1)[0]
