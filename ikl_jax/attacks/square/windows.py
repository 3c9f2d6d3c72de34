"""Square windows of an image: their sizes, their places, and random signs.

Reference: Andriushchenko et al., "Square Attack: a query-efficient black-box
adversarial attack via random search", https://arxiv.org/abs/1912.00049, 2020.
"""

import math
from collections.abc import Callable
from typing import Protocol

import jax.numpy as jnp

from ikl_jax.types import Array, Scalar

Shape = tuple[int, ...]
# The image's height or width and the window's side to the number of places for the
# window's first row or column, which is drawn uniformly.
Places = Callable[[int, Array], Array]

# After each of these iterations the area of the windows is halved.
HALVED_AFTER = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)


class Proposals(Protocol):
    """The start and the next inputs of a search in the ball of a norm.

    Random numbers are arguments: for each example, so many uniform ones in [0, 1).
    """

    def start_draws(self, shape: Shape) -> int:
        """How many numbers `start` uses for each image (h, w, K)."""
        ...

    def start(self, numbers: Array, x: Array, epsilon: Scalar) -> Array:
        """The first `x_adv`, from numbers `[B, start_draws]`."""
        ...

    def draws(self, shape: Shape) -> int:
        """How many numbers `propose` uses for each image (h, w, K)."""
        ...

    def propose(
        self,
        numbers: Array,
        x: Array,
        x_adv: Array,
        side: Array,
        epsilon: Scalar,
        places: Places,
    ) -> Array:
        """The next `x_adv`, from numbers `[B, draws]` and the windows' side."""
        ...

    def side(self, side: int) -> int:
        """The side to use if the schedule says `side`."""
        ...


def every_place(length: int, side: Array) -> Array:
    """All places at which the window lies within the image."""
    return length - side + 1


def all_but_the_last_place(length: int, side: Array) -> Array:
    """The reference's choice: only full-size windows reach the last row or column."""
    return jnp.maximum(length - side, 1)


def share_at(iteration: int, p_init: float) -> float:
    """The share of the image's area that a window has; iterations count from 0.

    After the last of `HALVED_AFTER` it stays the same. The reference starts again with
    `p_init` after 10,000 iterations.
    """
    return p_init / 2.0 ** sum(iteration > after for after in HALVED_AFTER)


def side_at(iteration: int, p_init: float, shape: Shape, proposals: Proposals) -> int:
    """The window's side, from 1 to the image's shorter one."""
    height, width, _ = shape
    side = max(round(math.sqrt(share_at(iteration, p_init) * height * width)), 1)
    return min(proposals.side(side), height, width)


def corner(number: Array, length: int, side: Array, places: Places) -> Array:
    """The first row or column of a window, `[B]`."""
    return jnp.floor(number * places(length, side).astype(number.dtype)).astype(
        jnp.int32
    )


def within(first: Array, side: Array, length: int) -> tuple[Array, Array]:
    """The number of each row in a window, and whether it lies in it: `[B, length]`."""
    index = jnp.arange(length)[None] - first[:, None]
    return index, (index >= 0) & (index < side)


def mask(rows: Array, columns: Array) -> Array:
    """`[B, h]` and `[B, w]` to `[B, h, w, 1]`: whether both hold."""
    return rows[:, :, None, None] & columns[:, None, :, None]


def signs(numbers: Array) -> Array:
    """-1 and 1 with equal probability."""
    return jnp.where(numbers < 0.5, -1.0, 1.0).astype(numbers.dtype)
