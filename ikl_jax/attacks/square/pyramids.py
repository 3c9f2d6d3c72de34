"""The Square Attack's proposals in l2 and l1 balls, which move norm between windows.

A proposal draws two windows. It adds a pyramid to the perturbation in the first window,
sets the perturbation in the second to zero, and gives the first the norm of both.

References: Andriushchenko et al., "Square Attack: a query-efficient black-box
adversarial attack via random search", https://arxiv.org/abs/1912.00049, 2020, section
3.3 and algorithm 3; for l1, Croce & Hein, "Mind the box: l1-APGD for sparse adversarial
attacks on image classifiers", https://arxiv.org/abs/2103.01208, 2021.
"""

import dataclasses
import functools
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from ikl_jax.attacks.common import geometry, l1_box
from ikl_jax.attacks.square import windows
from ikl_jax.types import Array, Scalar

# The number of tiles along the image's shorter side in the grid of the start.
TILES = 5
SMALLEST_SIDE = 3
# In l1 balls, the authors' code gives a window this many times the norm that is
# available (it multiplies by the channels of a colour image). Without it perturbations
# are hardly ever sparse, and success takes many times as many queries, also on images
# of one channel.
L1_EXCESS = 3.0


def pyramid(side: int, power: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A window filled with two adjacent pyramids, a positive and a negative one.

    The upper one has side // 2 rows. Both have the same norm, and the window has norm
    1. The height of a pyramid depends on the larger of the distances along rows and
    columns from its centre. So profiles describe it: entry (i, j) of the window is
    `weight[i] * min(rows[i], columns[j])`.

    Args:
      side: of the window, >= 1; with 1 there is only the lower pyramid.
      power: of the norm, 1 or 2.

    Returns:
      rows, columns, weight: `[side]` float64.
    """
    # The sum of 1, 1/4, 1/9, ... over all rings that are at least as wide.
    sums = np.cumsum([0.0, *(1.0 / np.arange(1, side // 2 + 2) ** 2)])
    profile = lambda length: sums[-1] - sums[np.abs(np.arange(length) - length // 2)]
    upper, lower = profile(side // 2), profile(side - side // 2)
    columns = profile(side)
    norm = lambda rows: (np.minimum(rows[:, None], columns) ** power).sum()
    parts = 2 if side > 1 else 1
    scale = lambda rows: (parts * norm(rows)) ** (-1.0 / power) if rows.size else 0.0
    weight = np.repeat([scale(upper), -scale(lower)], [upper.size, lower.size])
    return np.concatenate([upper, lower]), columns, weight


@functools.lru_cache(maxsize=8)
def _table(longest: int, power: int) -> np.ndarray:
    """The profiles of all sides, `[longest + 1, 3, longest]`, padded with zeros."""
    table = np.zeros((longest + 1, 3, longest), np.float32)
    for side in range(1, longest + 1):
        table[side, :, :side] = pyramid(side, power)
    return table


def _pyramids(
    rows: Array,
    columns: Array,
    side: Array,
    turned: Array,
    shape: windows.Shape,
    power: int,
) -> Array:
    """A window of pyramids for each image, `[B, h, w, 1]`, zero outside of it.

    Turned ones are transposed. Only rows and columns are looked up, not pixels.
    """
    height, width, _ = shape
    upright = jnp.asarray(_table(min(height, width), power))[side]

    def profiles(first: Array, length: int) -> list[Array]:
        index, inside = windows.within(first, side, length)
        index = jnp.clip(index, 0, upright.shape[-1] - 1)
        return [jnp.where(inside, profile[index], 0.0) for profile in upright]

    down, across = profiles(rows, height), profiles(columns, width)
    lying = turned[:, None]
    first = jnp.where(lying, down[1], down[0])
    second = jnp.where(lying, across[0], across[1])
    heights = jnp.minimum(first[:, :, None], second[:, None, :])
    weight = jnp.where(
        turned[:, None, None], across[2][:, None, :], down[2][:, :, None]
    )
    return (heights * weight)[..., None]


@dataclasses.dataclass(frozen=True)
class Pyramids:
    """Proposals in the ball of a norm that is the root of a sum of powers.

    Attributes:
      power: of the norm, 1 or 2.
      of: |delta| to that power, elementwise.
      root: the root of a sum of powers.
      excess: the new norm of the first window, in units of the norm that is available.
        If it is above 1, `into` shrinks the whole perturbation.
      into: `(delta, x, epsilon)` to x_adv, with delta brought into the ball and x_adv
        into the box.
    """

    power: int
    of: Callable[[Array], Array]
    root: Callable[[Array], Array]
    excess: float
    into: Callable[[Array, Array, Scalar], Array]

    def start_draws(self, shape: windows.Shape) -> int:
        rows, columns, _ = _grid(shape)
        return rows * columns * (1 + shape[2])

    def start(self, numbers: Array, x: Array, epsilon: Scalar) -> Array:
        """A grid of pyramids, a sign for each tile and channel, of norm epsilon."""
        shape = x.shape[1:]
        rows, columns, side = _grid(shape)
        tiles = numbers.reshape(-1, rows, columns, 1, 1, 1 + shape[2])
        heights, across, weight = pyramid(side, self.power)
        tile = jnp.asarray(weight[:, None] * np.minimum(heights[:, None], across))
        tile = tile.astype(x.dtype)[None, None, None, :, :, None]
        turned = tiles[..., :1] < 0.5
        delta = jnp.where(turned, tile.swapaxes(3, 4), tile)
        delta = delta * windows.signs(tiles[..., 1:])
        delta = delta.swapaxes(2, 3).reshape(-1, rows * side, columns * side, shape[2])
        delta = jnp.pad(delta, ((0, 0), *_margins(shape), (0, 0)))
        size = self.root(jnp.sum(self.of(delta), axis=(1, 2, 3), keepdims=True))
        return self.into(delta * (epsilon / size), x, epsilon)

    def draws(self, shape: windows.Shape) -> int:
        return 5 + shape[2]

    def propose(
        self,
        numbers: Array,
        x: Array,
        x_adv: Array,
        side: Array,
        epsilon: Scalar,
        places: windows.Places,
    ) -> Array:
        shape = x.shape[1:]
        height, width, channels = shape
        corners = [
            windows.corner(numbers[:, i], length, side, places)
            for i, length in enumerate((height, width, height, width))
        ]
        gains, loses = (
            _channels_first(
                windows.mask(
                    windows.within(rows, side, height)[1],
                    windows.within(columns, side, width)[1],
                )
            )
            for rows, columns in (corners[:2], corners[2:])
        )
        x, x_adv = _channels_first(x), _channels_first(x_adv)
        delta = x_adv - x
        sums = functools.partial(jnp.sum, axis=(2, 3), keepdims=True)
        powers = self.of(delta)
        unused = epsilon**self.power - jnp.sum(powers, axis=(1, 2, 3), keepdims=True)
        available = sums(jnp.where(gains | loses, powers, 0.0))
        available += jnp.maximum(unused, 0.0) / channels

        added = _channels_first(
            _pyramids(
                corners[0], corners[1], side, numbers[:, 4] < 0.5, shape, self.power
            )
        ) * windows.signs(numbers[:, 5:]).reshape(-1, channels, 1, 1)
        old = jnp.where(gains, delta, 0.0)
        moved = added + old / _or_one(self.root(sums(self.of(old))))
        size = self.excess * self.root(available)
        moved *= size / _or_one(self.root(sums(self.of(moved))))
        delta = jnp.where(gains, moved, jnp.where(loses, 0.0, delta))
        return jnp.moveaxis(self.into(delta, x, epsilon), 1, -1)

    def side(self, side: int) -> int:
        """An odd number, which has a middle, and large enough for two pyramids."""
        side = max(side, SMALLEST_SIDE)
        return side + 1 - side % 2


def _grid(shape: windows.Shape) -> tuple[int, int, int]:
    """The numbers of rows and columns of tiles, and the side of a tile."""
    side = max(min(shape[:2]) // TILES, 1)
    return shape[0] // side, shape[1] // side, side


def _margins(shape: windows.Shape) -> list[tuple[int, int]]:
    """The pixels that the grid leaves free before and after its rows and columns."""
    rows, columns, side = _grid(shape)
    free = [shape[0] - rows * side, shape[1] - columns * side]
    return [(length // 2, length - length // 2) for length in free]


def _channels_first(images: Array) -> Array:
    """`[B, h, w, K]` to `[B, K, h, w]`, which a CPU adds up many times as fast."""
    return jnp.moveaxis(images, -1, 1)


def _or_one(value: Array) -> Array:
    return jnp.where(value > 0, value, 1.0)


def _l2_into(delta: Array, x: Array, epsilon: Scalar) -> Array:
    return geometry.into(x + delta, x, epsilon, geometry.NORMS["l2"], geometry.BOX)


def _l1_into(delta: Array, x: Array, epsilon: Scalar) -> Array:
    return l1_box.into(delta, x, epsilon)


L2 = Pyramids(2, jnp.square, jnp.sqrt, 1.0, _l2_into)
L1 = Pyramids(1, jnp.abs, lambda total: total, L1_EXCESS, _l1_into)
