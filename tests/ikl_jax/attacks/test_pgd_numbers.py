"""PGD where numbers are few, at their ends, or none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax import attacks
from ikl_jax.attacks.common import geometry, largest
from tests.ikl_jax.attacks.sizes import size

NORMS = ["linf", "l2", "l1"]
HALF = [jnp.bfloat16, jnp.float16]
X = jax.random.uniform(jax.random.key(0), (4, 6, 5, 3))
SLOPE = jax.random.normal(jax.random.key(1), X.shape[1:])
KEY = jax.random.key(2)


def linear(x):
    return jnp.sum(x * SLOPE.astype(x.dtype)[None], axis=(1, 2, 3))


@pytest.mark.parametrize(
    ("norm", "dtype"),
    [
        ("linf", HALF[0]),
        pytest.param("l2", HALF[0], marks=pytest.mark.long),
        pytest.param("l1", HALF[1], marks=pytest.mark.long),
    ],
)
def test_half_precision_stays_in_the_ball_as_float32_measures_it(norm, dtype):
    x = X.astype(dtype)
    epsilon = {"linf": 0.03, "l2": 0.6, "l1": 3.0}[norm]
    run = jax.jit(
        lambda epsilon, key: attacks.pgd(
            linear,
            x,
            epsilon=epsilon,
            step_size=epsilon / 4,
            steps=6,
            norm=norm,
            key=key,
            unroll=1,
        )
    )
    x_adv = run(epsilon, KEY)  # a traced epsilon with a key
    assert x_adv.dtype == dtype
    delta = np.asarray(x_adv, np.float32) - np.asarray(x, np.float32)
    assert (size(delta, norm) <= epsilon * (1 + 1e-6)).all()
    assert (x_adv >= 0).all()
    assert (x_adv <= 1).all()
    rises = np.asarray(jnp.sum(delta * SLOPE[None], (1, 2, 3)))
    in_float32 = attacks.pgd(
        linear, x.astype(jnp.float32), epsilon=epsilon, step_size=epsilon / 4, steps=6,
        norm=norm, key=KEY, unroll=1,
    )  # fmt: skip
    most = np.asarray(linear(in_float32) - linear(x.astype(jnp.float32)))
    assert (rises > 0.7 * most).all()


@pytest.mark.parametrize("epsilon", [np.float64(0.1), jnp.asarray(0.1), 0.1])
def test_epsilon_may_be_an_array_beside_a_key_in_half_precision(epsilon):
    x = X.astype(jnp.bfloat16)
    x_adv = attacks.pgd(linear, x, epsilon=epsilon, step_size=0.1, steps=2, key=KEY)
    assert x_adv.dtype == x.dtype


def test_a_ball_finer_than_the_numbers_of_the_inputs_is_told():
    x = X.astype(jnp.bfloat16)
    with pytest.warns(
        UserWarning, match="epsilon 0.002 is less than the distance of bfl"
    ):
        attacks.pgd(linear, x, epsilon=0.002, step_size=0.001, steps=1)


def test_counts_of_imagenets_coordinates_do_not_overflow_in_float16():
    delta = jnp.full((1, 224 * 224 * 3), 1e-3, jnp.float16)  # size 150.5
    project = geometry.NORMS["l1"].project(delta, 75.0)
    np.testing.assert_allclose(size(project, "l1"), 75.0, rtol=0.01)
    ones = jnp.ones_like(delta)
    np.testing.assert_allclose(geometry.NORMS["l1"].size(ones), 150_528.0)
    np.testing.assert_allclose(geometry.NORMS["l2"].size(ones), 150_528.0**0.5)


def test_l1_spends_its_steps_where_the_box_has_room():
    x = jax.random.uniform(jax.random.key(3), (4, 8, 8, 3))
    slope = jax.random.normal(jax.random.key(4), x.shape[1:])
    loss = lambda x: jnp.sum(x * slope[None], axis=(1, 2, 3))
    epsilon = 5.0
    x_adv = attacks.pgd(
        loss, x, epsilon=epsilon, step_size=1.0, steps=25, norm="l1", unroll=1
    )
    weights = np.abs(np.asarray(slope, np.float64)).ravel()
    order = np.argsort(-weights)
    room = np.asarray(jnp.where(slope[None] > 0, 1 - x, x), np.float64)
    room = room.reshape(len(x), -1)[:, order]
    used = np.clip(epsilon - (np.cumsum(room, axis=1) - room), 0, room)
    optimum = (used * weights[order]).sum(1)
    assert (np.asarray(loss(x_adv) - loss(x)) > 0.9 * optimum).all()
    assert (size(x_adv - x, "l1") <= epsilon + 1e-5).all()


@pytest.mark.parametrize("amount", [0.0, 0.3, 1.7, 99.0])
def test_an_amount_is_spent_on_the_largest_weights_in_their_order(amount):
    rng = np.random.default_rng(0)
    weight = rng.integers(0, 4, (5, 12)) * 1e38  # equal ones, and a sum that overflows
    weight[0, 3], weight[1, :2] = np.inf, np.inf
    room = rng.random((5, 12)) * (weight > 0)
    spent = largest.spend(jnp.float32(weight), jnp.float32(room), amount)
    for row, (w, r) in enumerate(zip(weight, room, strict=True)):
        left, expected = amount, np.zeros(12)
        for i in np.argsort(-w, kind="stable"):
            expected[i] = min(left, r[i])
            left -= expected[i]
        np.testing.assert_allclose(spent[row], expected, atol=1e-5)


@pytest.mark.parametrize("norm", NORMS)
def test_an_example_whose_gradient_is_not_a_number_keeps_its_last_point(norm):
    # The second example has a gradient up to its first step, the first has none at x.
    hurt = lambda z: jnp.where(jnp.any(z != X[:2], (1, 2, 3)), jnp.nan, 1.0)
    loss = lambda z: linear(z[:2]) * jnp.sqrt(hurt(z[:2]) * jnp.array([-1.0, 1.0]))
    run = lambda steps: attacks.pgd(
        loss, X[:2], epsilon=0.2, step_size=0.1, steps=steps, norm=norm
    )
    once, often = run(1), run(4)
    np.testing.assert_array_equal(often[0], X[0])
    np.testing.assert_array_equal(often, once)
    assert (once[1] != X[1]).any()


def test_one_entry_that_is_not_a_number_does_not_stop_the_others():
    slope = SLOPE.at[0, 0, 0].set(jnp.nan)
    x_adv = attacks.pgd(
        lambda x: jnp.sum(x * slope[None], (1, 2, 3)),
        X,
        epsilon=0.01,
        step_size=0.01,
        steps=2,
    )
    np.testing.assert_array_equal(x_adv[:, 0, 0, 0], X[:, 0, 0, 0])
    expected = jnp.clip(X + 0.01 * jnp.sign(slope)[None], 0, 1)
    np.testing.assert_allclose(x_adv[:, 1:], expected[:, 1:], atol=1e-6)


@pytest.mark.parametrize("scale", [1e-45, 1e-40, 1e-37, 1e30, 1e38])
def test_l2_directions_of_the_smallest_and_largest_gradients(scale):
    """In NumPy, which keeps denormal numbers as GPUs do; XLA on CPU takes them for 0."""
    gradient = np.float32(scale) * np.array(
        [[3.0, -1.0, 0.0], [1.0, 1.0, 1.0]], np.float32
    )
    with np.errstate(all="raise", under="ignore"):
        direction = geometry.NORMS["l2"].steepest(gradient)
    wide = gradient.astype(np.float64)
    expected = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    np.testing.assert_allclose(direction, expected, rtol=1e-5)
    if scale > 1e-37:
        on_device = geometry.NORMS["l2"].steepest(jnp.asarray(gradient))
        np.testing.assert_allclose(on_device, expected, rtol=1e-5)


def test_infinite_slopes_are_the_steepest():
    gradient = jnp.array([[jnp.inf, -jnp.inf, 5.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    direction = geometry.NORMS["l2"].steepest(gradient)
    half = np.sqrt(0.5)
    np.testing.assert_allclose(
        direction, [[half, -half, 0, 0], [1, 0, 0, 0]], rtol=1e-6
    )


def test_a_single_row_of_old_style_keys_and_new_ones_start_alike():
    run = lambda key: attacks.pgd(
        linear, X, epsilon=0.1, step_size=0.0, steps=0, key=key
    )
    expected = run(jax.random.key(7))
    np.testing.assert_array_equal(run(jax.random.PRNGKey(7)), expected)
    np.testing.assert_array_equal(run(np.asarray(jax.random.PRNGKey(7))), expected)
    many = jax.random.split(jax.random.PRNGKey(7), len(X))
    np.testing.assert_array_equal(run(many), run(jax.random.wrap_key_data(many)))
