"""The Square Attack's windows and pyramids against their definitions."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax.attacks.square import pyramids, windows
from ikl_jax.attacks.square.search import PROPOSALS
from tests.ikl_jax.attacks.square.problems import (
    KEY,
)

AREAS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]

STARTS = [0, 11, 51, 201, 501, 1001, 2001, 4001, 6001, 8001, 10**6]


@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 48, 3), (5, 40, 1)])
def test_window_sides_follow_the_schedule(shape):
    for divisor, first, after in zip(AREAS, STARTS, STARTS[1:], strict=False):
        area = 0.8 / divisor * shape[0] * shape[1]
        side = max(round(math.sqrt(area)), 1)
        for iteration in (first, after - 1):
            of = lambda norm: windows.side_at(iteration, 0.8, shape, PROPOSALS[norm])
            assert of("linf") == min(side, *shape[:2])
            odd = max(side, 3) + (max(side, 3) % 2 == 0)
            assert of("l2") == of("l1") == min(odd, *shape[:2])


@pytest.mark.parametrize(
    ("places", "reached"),
    [(windows.every_place, 1.0), (windows.all_but_the_last_place, 0.0)],
)
def test_windows_are_uniform_and_reach_the_last_row_and_column(places, reached):
    x = jnp.full((3000, 5, 7, 1), 0.5)
    numbers = jax.random.uniform(KEY, (3000, 3))
    moved = (
        PROPOSALS["linf"].propose(numbers, x, x, jnp.array(2), 0.1, places)[..., 0]
        != 0.5
    )
    assert (moved.sum((1, 2)) == 4).all()
    for axis, length in ((2, 5), (1, 7)):
        first = jnp.argmax(moved.any(axis), axis=1)
        count = length - 1 if reached else length - 2
        share = np.bincount(first, minlength=length - 1) / 3000
        np.testing.assert_allclose(share[:count], 1 / count, atol=0.03)
        assert share[count:].sum() == 0
        assert moved.any(axis)[:, -1].any() == bool(reached)


def direct_pyramid(side, power):
    """Squares of 1, 3, 5, ... cells laid over each other, in two halves."""
    halves = []
    for height in (side // 2, side - side // 2):
        half = np.zeros((height, side))
        for ring in range(side // 2 + 1):
            top, left = height // 2 - ring, side // 2 - ring
            rows = slice(max(top, 0), top + 2 * ring + 1)
            half[rows, max(left, 0) : left + 2 * ring + 1] += 1 / (ring + 1) ** 2
        halves.append(half / max((half**power).sum() ** (1 / power), 1e-300))
    whole = np.concatenate([halves[0], -halves[1]])
    return whole / (np.abs(whole) ** power).sum() ** (1 / power)


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("side", [1, 2, 3, 5, 6, 11])
def test_pyramids_against_their_definition(side, power):
    rows, columns, weight = pyramids.pyramid(side, power)
    whole = weight[:, None] * np.minimum(rows[:, None], columns)
    np.testing.assert_allclose(whole, direct_pyramid(side, power), atol=1e-12)


@pytest.mark.long
def test_l2_moves_the_mass_of_one_window_to_another():
    """Algorithm 3, one example, in NumPy."""
    x = jnp.full((1, 9, 8, 2), 0.5)
    numbers = jnp.array([[0.2, 0.7, 0.9, 0.4, 0.3, 0.1, 0.8]])
    delta = 0.1 * np.asarray(jax.random.normal(KEY, (9, 8, 2)), np.float64)
    delta *= 0.9 / np.linalg.norm(delta)
    unused, side = 1.0 - 0.81, 3
    first = (slice(1, 4), slice(4, 7))  # floor(.2 * 7), floor(.7 * 6)
    second = (slice(6, 9), slice(2, 5))
    expected = delta.copy()
    for k, sign in ((0, -1), (1, 1)):
        both = np.zeros((9, 8), bool)
        both[first] = both[second] = True
        available = (delta[..., k][both] ** 2).sum() + unused / 2
        new = sign * direct_pyramid(side, 2).T
        new = new + delta[..., k][first] / np.linalg.norm(delta[..., k][first])
        expected[..., k][second] = 0.0
        expected[..., k][first] = new / np.linalg.norm(new) * available**0.5
    x_adv = x + jnp.asarray(delta, jnp.float32)[None]
    new = PROPOSALS["l2"].propose(
        numbers, x, x_adv, jnp.array(side), 1.0, windows.every_place
    )
    np.testing.assert_allclose(new[0] - 0.5, np.clip(expected, -0.5, 0.5), atol=1e-6)
