"""Square windows of an image: how large they are, where they lie, what is drawn.

Reference: Andriushchenko et al., "Square Attack: a query-efficient black-box
adversarial attack via random search", https://arxiv.org/abs/1912.00049, 2020.
"""

import math
from collections.abc import Callable
from typing import Protocol

import jax.numpy as jnp

from ikl_jax.types import Array, Scalar

Shape = tuple[int, ...]
# Of the image's height or width, and of the window's side: over how many places the
# window's first row or column is uniform.
Places = Callable[[int, Array], Array]

# After these iterations, of all that are ever made, windows have half of their area.
HALVED_AFTER = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)


class Proposals(Protocol):
    """How the search in a norm's ball starts and goes on.

    What is random comes as numbers uniform in [0, 1), so many an example.
    """

    def start_draws(self, shape: Shape) -> int:
        """How many numbers `start` uses, of images (h, w, K)."""
        ...

    def start(self, numbers: Array, x: Array, epsilon: Scalar) -> Array:
        """The first `x_adv`; numbers `[B, start_draws]`."""
        ...

    def draws(self, shape: Shape) -> int:
        """How many numbers `propose` uses, of images (h, w, K)."""
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
        """The next `x_adv`; numbers `[B, draws]`, windows of `side`, an integer."""
        ...

    def side(self, side: int) -> int:
        """The side that is taken where the schedule says `side`."""
        ...


def every_place(length: int, side: Array) -> Array:
    """All places at which the window lies within the image."""
    return length - side + 1


def all_but_the_last_place(length: int, side: Array) -> Array:
    """The reference's: no window reaches the last row or column, but of full size."""
    return jnp.maximum(length - side, 1)


def share_at(iteration: int, p_init: float) -> float:
    """Which part of the image's area a window has; iterations count from 0.

    Beyond the last of `HALVED_AFTER` it stays; the reference starts over with `p_init`
    beyond 10,000.
    """
    return p_init / 2.0 ** sum(iteration > after for after in HALVED_AFTER)


def side_at(iteration: int, p_init: float, shape: Shape, proposals: Proposals) -> int:
    """The window's side, from 1 to the image's shorter one."""
    height, width, _ = shape
    side = max(round(math.sqrt(share_at(iteration, p_init) * height * width)), 1)
    return min(proposals.side(side), height, width)


def corner(number: Array, length: int, side: Array, places: Places) -> Array:
    """The first row or column of a window, `[B]`."""
    return jnp.floor(number * places(length, side)).astype(jnp.int32)


def within(first: Array, side: Array, length: int) -> tuple[Array, Array]:
    """Each row's number within a window and whether it has one, both `[B, length]`."""
    index = jnp.arange(length)[None] - first[:, None]
    return index, (index >= 0) & (index < side)


def mask(rows: Array, columns: Array) -> Array:
    """`[B, h]` and `[B, w]` to `[B, h, w, 1]`: where both hold."""
    return rows[:, :, None, None] & columns[:, None, :, None]


def signs(numbers: Array) -> Array:
    """-1 and 1 with equal probability."""
    return jnp.where(numbers < 0.5, -1.0, 1.0).astype(numbers.dtype)
