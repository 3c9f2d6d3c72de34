"""Steps to hyperplanes within the box, against independent solvers in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from ikl_jax.attacks.fab import hyperplane

NORMS = ["linf", "l2", "l1"]
ORDER = {"linf": np.inf, "l2": 2, "l1": 1}


def problems(rows, dimension, seed=0):
    """Points of the box, many on its bounds, normals with zeros, planes near and far."""
    rng = np.random.default_rng(seed)
    x = np.clip(rng.uniform(-0.4, 1.4, (rows, dimension)), 0.0, 1.0)
    w = rng.standard_normal((rows, dimension)) * 10.0 ** rng.uniform(-2, 2, (rows, 1))
    w[rng.random(w.shape) < 0.2] = 0.0
    sign = rng.choice([-1.0, 1.0], rows)
    reach = np.where(-sign[:, None] * w > 0, 1 - x, x) * np.abs(w)
    value = sign * reach.sum(1) * rng.choice([1e-3, 0.1, 0.5, 0.9, 0.99], rows)
    return x, w, value


def smallest_step(x, w, value, norm):
    """Linear programs over the move of each coordinate; for l2 a bisection."""
    if norm == "l2":
        step = lambda rate: np.clip(-np.sign(value) * rate * w, -x, 1 - x)
        low, high = 0.0, 1.0
        while abs(w @ step(high)) < abs(value) * (1 - 1e-14):
            high *= 2
        for _ in range(200):
            middle = (low + high) / 2
            short = abs(w @ step(middle)) < abs(value)
            low, high = (middle, high) if short else (low, middle)
        return np.linalg.norm(step(high))
    size, eye = len(x), np.eye(len(x))
    # Variables: the step, and the bound of its entries (linf) or one each (l1).
    bound = np.ones((size, 1)) if norm == "linf" else eye
    extra = bound.shape[1]
    solved = scipy.optimize.linprog(
        np.r_[np.zeros(size), np.ones(extra)],
        A_ub=np.block([[eye, -bound], [-eye, -bound]]),
        b_ub=np.zeros(2 * size),
        A_eq=np.r_[w, np.zeros(extra)][None] / np.abs(w).max(),
        b_eq=[-value / np.abs(w).max()],
        bounds=[*zip(-x, 1 - x, strict=True), *[(0, None)] * extra],
    )
    assert solved.success, solved.message
    return solved.fun


def step(norm, x, w, value):
    run = jax.jit(hyperplane.STEP_TO[norm])
    return np.asarray(run(jnp.asarray(x), jnp.asarray(w), jnp.asarray(value)))


def float32(*arrays):
    return [array.astype(np.float32) for array in arrays]


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("dimension", [1, 2, 7, 40])
def test_reaches_the_plane_by_the_smallest_step(norm, dimension, x64):
    x, w, value = problems(100, dimension)
    delta = step(norm, x, w, value)
    assert (x + delta >= -1e-15).all()
    assert (x + delta <= 1 + 1e-15).all()
    reached = (w * delta).sum(1) + value
    np.testing.assert_allclose(reached / np.abs(w).max(1).clip(1e-9), 0, atol=1e-12)
    expected = [
        smallest_step(*case, norm) if case[2] else 0.0
        for case in zip(x, w, value, strict=True)
    ]
    found = np.linalg.norm(delta, ORDER[norm], axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("dimension", [7, 784])
def test_float32_is_as_exact_as_it_can_be(norm, dimension):
    x, w, value = float32(*problems(100, dimension, seed=1))
    delta = step(norm, x, w, value)
    assert delta.dtype == np.float32
    assert ((x + delta >= 0) & (x + delta <= 1)).all()
    delta, w, value = delta.astype(np.float64), w.astype(np.float64), value
    reached = (w * delta).sum(1) + value
    scale = (np.abs(w * delta)).sum(1).clip(1e-30)
    np.testing.assert_allclose(reached / scale, 0, atol=3e-6)


@pytest.mark.parametrize("norm", NORMS)
def test_goes_to_the_end_of_the_box_where_the_plane_is_outside(norm):
    x, w, value = float32(*problems(50, 9, seed=2))
    far = np.sign(value) * (np.abs(w).sum(1) + 1)
    delta = step(norm, x, w, far)
    end = np.where(w * far[:, None] > 0, 0.0, 1.0)
    np.testing.assert_allclose(x + delta, np.where(w == 0, x, end), atol=1e-7)


@pytest.mark.parametrize("norm", NORMS)
def test_stays_where_there_is_nothing_to_do(norm):
    x, w, value = float32(*problems(20, 9, seed=3))
    np.testing.assert_array_equal(step(norm, x, w, 0 * value), 0)  # on the plane
    np.testing.assert_array_equal(step(norm, x, 0 * w, value), 0)  # no plane at all
    np.testing.assert_array_equal(step(norm, x, 0 * w, 0 * value), 0)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("scale", [2.0**-100, 2.0**-20, 2.0**20, 2.0**100])
def test_the_scale_of_the_plane_does_not_matter(norm, scale):
    x, w, value = float32(*problems(50, 30, seed=4))
    scale = np.float32(scale)
    scaled = step(norm, x, w * scale, value * scale)
    np.testing.assert_array_equal(scaled, step(norm, x, w, value))


@pytest.mark.parametrize("norm", NORMS)
def test_entries_of_very_different_sizes(norm):
    x = np.full((1, 4), 0.5, np.float32)
    w = np.array([[1e-38, 1e-20, 1.0, 1e20]], np.float32)
    for value in (1e-10, 1.0, 1e19, 3e38):
        delta = step(norm, x, w, np.float32([value]))
        assert np.isfinite(delta).all()
        assert (np.abs(delta) <= 0.5).all()


@pytest.mark.parametrize("count", [1, 3, 5, 100])
def test_equal_entries_share_the_way(count):
    """Where rounding could keep a search for one of them from ending."""
    x = np.full((1, count), 0.25, np.float32)
    w = np.full((1, count), 0.1, np.float32)
    value = np.float32([-0.05 * count])
    for norm in NORMS:
        delta = step(norm, x, w, value)
        np.testing.assert_allclose(delta, 0.5, rtol=1e-5)


@pytest.mark.parametrize("norm", NORMS)
def test_an_example_does_not_depend_on_its_batch(norm):
    x, w, value = float32(*problems(64, 30, seed=5))
    whole = step(norm, x, w, value)
    order = np.random.default_rng(0).permutation(64)
    np.testing.assert_array_equal(
        step(norm, x[order], w[order], value[order]), whole[order]
    )
    for row in (0, 17):
        alone = step(norm, *(v[row : row + 1] for v in (x, w, value)))
        np.testing.assert_allclose(alone[0], whole[row], rtol=1e-5)
