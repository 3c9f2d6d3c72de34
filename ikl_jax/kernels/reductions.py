"""Reductions over classes whose numbers come in blocks."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ikl_jax.types import Array


class Kind(NamedTuple):
    """A way to reduce the classes of a block, and to combine the results of blocks.

    Attributes:
      reduce: over an axis.
      combine: two results.
      neutral: the number that changes no result.
      is_logical: whether the numbers are true or false. They are 1.0 or 0.0 in blocks,
        because chips have no memory for a bit.
    """

    reduce: Callable[..., Array]
    combine: Callable[[Array, Array], Array]
    neutral: float
    is_logical: bool = False

    def of_block(self, x: Array, first: Any, classes: int) -> Array:
        """The result of the block's columns, `[rows, 1]`.

        Args:
          x: `[rows, width]`.
          first: the number of the class in the first column.
          classes: the columns of classes from this number on do not count.
        """
        if self.is_logical:
            x = jnp.where(x, 1.0, 0.0)
        if classes % x.shape[1]:
            number = first + jax.lax.broadcasted_iota(jnp.int32, x.shape, 1)
            x = jnp.where(number < classes, x, self.neutral)
        return self.reduce(x, axis=1, keepdims=True)

    def start(self, rows: int) -> Array:
        """The result of no columns, `[rows, 1]`."""
        return jnp.full((rows, 1), self.neutral, jnp.float32)

    def opened(self, total: Array) -> Array:
        """The total in the dtype that the equations expect."""
        return total != 0 if self.is_logical else total


def larger(x: Array, y: Array) -> Array:
    """The larger number of each pair; NaN if one is NaN, on every chip."""
    return jnp.where((x > y) | (x != x), x, y)


def smaller(x: Array, y: Array) -> Array:
    """The smaller number of each pair; NaN if one is NaN, on every chip."""
    return jnp.where((x < y) | (x != x), x, y)


def _largest(x: Array, **axis: Any) -> Array:
    return jnp.where(_has_nan(x, **axis), jnp.nan, jnp.max(x, **axis))


def _smallest(x: Array, **axis: Any) -> Array:
    return jnp.where(_has_nan(x, **axis), jnp.nan, jnp.min(x, **axis))


def _has_nan(x: Array, **axis: Any) -> Array:
    return jnp.max(jnp.where(x != x, 1.0, 0.0), **axis) > 0


KINDS = {
    "reduce_sum": Kind(jnp.sum, jnp.add, 0.0),
    "reduce_max": Kind(_largest, larger, -jnp.inf),
    "reduce_min": Kind(_smallest, smaller, jnp.inf),
    "reduce_or": Kind(jnp.max, larger, 0.0, is_logical=True),
    "reduce_and": Kind(jnp.min, smaller, 1.0, is_logical=True),
}
