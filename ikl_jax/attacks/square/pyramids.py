"""The Square Attack's proposals in l2 and l1 balls: mass moves between two windows.

What is in the first window gets a pyramid more and keeps its norm, and all of the
second window's norm too, which is emptied.

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
from ikl_jax.attacks.square import windows as windows
from ikl_jax.types import Array, Scalar

# The start's grid has so many tiles along the image's shorter side.
TILES = 5
SMALLEST_SIDE = 3
# The authors' l1 windows exceed by the number of channels, which for colour images is
# this. Without, perturbations are hardly ever sparse, and success comes many times
# later, also with a single channel.
L1_EXCESS = 3.0


def pyramid(side: int, power: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two adjacent pyramids, one up and one down, that fill a window of that side.

    The upper is side // 2 rows high, each has the same norm, and both together have 1.
    A pyramid falls off with the larger of the distances along rows and columns from its
    centre, so it is given by profiles: entry (i, j) of the window is
    `weight[i] * min(rows[i], columns[j])`.

    Args:
      side: of the window, >= 1; at 1 there is only the lower one.
      power: 1 or 2, of the norm.

    Returns:
      rows, columns, weight: `[side]` float64.
    """
    # All rings of 1, 1/4, 1/9, ... that are not smaller than the distance.
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
    """The profiles of all sides, `[longest + 1, 3, longest]` with zeros behind."""
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
    """One window each, `[B, h, w, 1]`, zero outside; turned ones lie on their side.

    `min` takes profiles apart, so rows and columns are looked up, not pixels.
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
    """Proposals in the ball of a norm that is a root of sums.

    Attributes:
      power: 1 or 2, the norm's.
      of: what is summed, elementwise: |delta| to the power.
      root: of the sum.
      excess: by how much the window's new norm exceeds what is available. `into` then
        shrinks all of the perturbation.
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
        """A grid of pyramids with a sign a tile and channel, as far out as it goes."""
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
            windows.mask(
                windows.within(rows, side, height)[1],
                windows.within(columns, side, width)[1],
            )
            for rows, columns in (corners[:2], corners[2:])
        )
        delta = x_adv - x
        sums = functools.partial(jnp.sum, axis=(1, 2), keepdims=True)
        powers = self.of(delta)
        unused = epsilon**self.power - jnp.sum(powers, axis=(1, 2, 3), keepdims=True)
        available = sums(jnp.where(gains | loses, powers, 0.0))
        available += jnp.maximum(unused, 0.0) / channels

        added = _pyramids(
            corners[0], corners[1], side, numbers[:, 4] < 0.5, shape, self.power
        ) * windows.signs(numbers[:, 5:]).reshape(-1, 1, 1, channels)
        old = jnp.where(gains, delta, 0.0)
        moved = added + old / _or_one(self.root(sums(self.of(old))))
        size = self.excess * self.root(available)
        moved *= size / _or_one(self.root(sums(self.of(moved))))
        delta = jnp.where(gains, moved, jnp.where(loses, 0.0, delta))
        return self.into(delta, x, epsilon)

    def side(self, side: int) -> int:
        """Odd, so that it has a middle, and no smaller than two pyramids need."""
        side = max(side, SMALLEST_SIDE)
        return side + 1 - side % 2


def _grid(shape: windows.Shape) -> tuple[int, int, int]:
    """Rows and columns of tiles, and their side."""
    side = max(min(shape[:2]) // TILES, 1)
    return shape[0] // side, shape[1] // side, side


def _margins(shape: windows.Shape) -> list[tuple[int, int]]:
    """What the grid leaves free before and after its rows and columns."""
    rows, columns, side = _grid(shape)
    free = [shape[0] - rows * side, shape[1] - columns * side]
    return [(length // 2, length - length // 2) for length in free]


def _or_one(value: Array) -> Array:
    return jnp.where(value > 0, value, 1.0)


def _l2_into(delta: Array, x: Array, epsilon: Scalar) -> Array:
    return geometry.into(x + delta, x, epsilon, geometry.NORMS["l2"], (0.0, 1.0))


def _l1_into(delta: Array, x: Array, epsilon: Scalar) -> Array:
    return jnp.clip(x + l1_box.project(delta, x, epsilon), 0.0, 1.0)


L2 = Pyramids(2, jnp.square, jnp.sqrt, 1.0, _l2_into)
L1 = Pyramids(1, jnp.abs, lambda total: total, L1_EXCESS, _l1_into)
