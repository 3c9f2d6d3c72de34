"""PGD and the geometry of its balls."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax import attacks
from ikl_jax.attacks.common import geometry
from tests.ikl_jax.attacks.sizes import size

X = jax.random.uniform(jax.random.key(0), (5, 3, 4), minval=0.1, maxval=0.9)
SLOPE = jax.random.normal(jax.random.key(1), (3, 4))
NORMS = ["linf", "l2", "l1"]


def linear(x):
    return jnp.sum(x * SLOPE[None], axis=(1, 2))


def bumpy(x):
    return jnp.sum(jnp.sin(20 * x) * SLOPE[None], axis=(1, 2))


@pytest.mark.parametrize("norm", NORMS)
def test_finds_the_optimum_of_a_linear_function(norm):
    epsilon = 0.05  # the box is not reached
    x_adv = attacks.pgd(linear, X, epsilon=epsilon, step_size=0.02, steps=5, norm=norm)
    dual = {
        "linf": jnp.abs(SLOPE).sum(),
        "l2": jnp.linalg.norm(SLOPE),
        "l1": jnp.abs(SLOPE).max(),
    }[norm]
    np.testing.assert_allclose(linear(x_adv) - linear(X), epsilon * dual, rtol=1e-4)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("start", ["natural", "key", "far outside"])
@pytest.mark.parametrize("steps", [0, 1, 7])
def test_stays_in_the_ball_and_the_bounds(norm, start, steps):
    starts = {
        "natural": {},
        "key": {"key": jax.random.key(3)},
        "far outside": {"x_init": 3 * X - 1},
    }
    x_adv = attacks.pgd(
        bumpy, X, epsilon=0.3, step_size=0.2, steps=steps, norm=norm, **starts[start]
    )
    assert (size(x_adv - X, norm) <= 0.3 + 1e-6).all()
    assert x_adv.min() >= 0.0
    assert x_adv.max() <= 1.0


@pytest.mark.parametrize("norm", NORMS)
def test_raises_a_loss_that_is_not_linear(norm):
    x_adv = attacks.pgd(bumpy, X, epsilon=0.05, step_size=0.01, steps=8, norm=norm)
    assert (bumpy(x_adv) > bumpy(X) + 0.1).all()


def test_other_bounds():
    with pytest.warns(UserWarning, match=r"radius 9 .* holds every input in \[-2, 2\]"):
        x_adv = attacks.pgd(
            linear, X * 4 - 2, epsilon=9.0, step_size=5.0, steps=3, bounds=(-2.0, 2.0)
        )
    np.testing.assert_array_equal(x_adv, 2 * jnp.broadcast_to(jnp.sign(SLOPE), X.shape))


@pytest.mark.parametrize("unroll", [1, 2, 6])
def test_the_form_of_the_loop_does_not_change_results(unroll):
    run = lambda unroll: attacks.pgd(
        bumpy, X, epsilon=0.2, step_size=0.05, steps=6, unroll=unroll,
        key=jax.random.key(5),
    )  # fmt: skip
    np.testing.assert_allclose(run(unroll), run(None), atol=1e-6)


@pytest.mark.parametrize(
    ("steps", "unroll", "loops"),
    [(4, 1, True), (4, 2, True), (4, 4, False), (4, None, False), (1, None, False)],
)
def test_where_no_loop_is_wanted_none_is_lowered(steps, unroll, loops):
    """On CPU; even a loop of one step, which XLA removes, has cost the speed by then."""
    attack = lambda x: attacks.pgd(
        bumpy, x, epsilon=0.2, step_size=0.05, steps=steps, unroll=unroll
    )
    assert ("stablehlo.while" in jax.jit(attack).lower(X).as_text()) == loops


@pytest.mark.parametrize("norm", NORMS)
def test_a_start_depends_on_the_example_not_on_its_batch(norm):
    keys = jax.vmap(lambda i: jax.random.fold_in(jax.random.key(7), i))(jnp.arange(5))
    run = lambda x, key: attacks.pgd(
        bumpy, x, epsilon=0.2, step_size=0.0, steps=0, norm=norm, key=key
    )
    whole = run(X, keys)
    np.testing.assert_array_equal(whole, run(X, jax.random.key(7)))
    np.testing.assert_array_equal(whole[3:], run(X[3:], keys[3:]))
    assert (size(whole - X, norm) > 0).all()


def test_x_init_wins_over_key_and_nothing_starts_at_x():
    run = lambda **kw: attacks.pgd(bumpy, X, epsilon=0.2, step_size=0.0, steps=1, **kw)
    start = X + 0.01
    np.testing.assert_allclose(run(x_init=start, key=jax.random.key(0)), start)
    np.testing.assert_array_equal(run(), X)


def test_the_first_gradient_is_taken_where_the_start_is_though_outside_the_ball():
    x, start = jnp.full((1, 2), 0.5), jnp.full((1, 2), 0.501)
    # Highest between the two: uphill is down from the start, and up from the ball.
    ridge = lambda x: -jnp.sum((x - 0.5005) ** 2, axis=-1)
    found = attacks.pgd(ridge, x, epsilon=1e-4, step_size=2e-3, steps=1, x_init=start)
    np.testing.assert_allclose(found, 0.4999, atol=1e-6)


def test_continuing_is_the_same_as_going_on():
    run = lambda steps, **kw: attacks.pgd(
        bumpy, X, epsilon=0.2, step_size=0.05, steps=steps, **kw
    )
    np.testing.assert_allclose(run(3, x_init=run(4)), run(7), atol=1e-6)


def test_no_gradient_flows_through_an_attack():
    attacked = lambda x: attacks.pgd(linear, x, epsilon=0.1, step_size=0.1, steps=2)
    assert not np.any(jax.grad(lambda x: attacked(x).sum())(X))


def test_epsilon_may_be_traced():
    run = jax.jit(lambda e: attacks.pgd(linear, X, epsilon=e, step_size=e, steps=1))
    np.testing.assert_allclose(
        run(0.05), attacks.pgd(linear, X, epsilon=0.05, step_size=0.05, steps=1)
    )


def test_bfloat16_inputs_stay_bfloat16():
    x = X.astype(jnp.bfloat16)
    step = jnp.asarray(0.1)
    x_adv = attacks.pgd(linear, x, epsilon=step, step_size=step, steps=2)
    assert x_adv.dtype == jnp.bfloat16


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e-3, 1e30])
def test_l2_direction_has_norm_one_or_is_zero(scale):
    direction = geometry.NORMS["l2"].steepest(scale * jnp.ones((2, 3, 4)))
    assert np.isfinite(direction).all()
    expected = 0.0 if scale == 0.0 else 1.0
    np.testing.assert_allclose(size(direction, "l2"), expected, rtol=1e-5)


@pytest.mark.parametrize("norm", NORMS)
def test_samples_fill_the_unit_ball(norm):
    sample = geometry.NORMS[norm].sample
    points = jax.vmap(lambda key: sample(key, (2,)))(
        jax.random.split(jax.random.key(0), 4000)
    )
    sizes = size(points, norm)
    assert sizes.max() <= 1.0
    # In two dimensions half of the ball's volume lies within radius sqrt(1/2).
    np.testing.assert_allclose((sizes < np.sqrt(0.5)).mean(), 0.5, atol=0.03)
    np.testing.assert_allclose(points.mean(0), 0.0, atol=0.03)


@pytest.mark.parametrize("norm", NORMS)
def test_projection_is_the_nearest_point_for_what_is_outside(norm):
    project = geometry.NORMS[norm].project
    inside = 0.01 * jnp.ones((1, 4))
    np.testing.assert_array_equal(project(inside, 1.0), inside)
    outside = jnp.array([[3.0, 4.0]])
    expected = {"linf": [[1.0, 1.0]], "l2": [[0.6, 0.8]], "l1": [[0.0, 1.0]]}[norm]
    np.testing.assert_allclose(project(outside, 1.0), expected, rtol=1e-6)


def test_the_l1_projection_is_the_nearest_of_many_points_of_the_ball():
    rng = np.random.default_rng(0)
    delta = rng.standard_normal((1, 6))
    nearest = np.asarray(geometry.NORMS["l1"].project(jnp.asarray(delta), 1.5))[0]
    np.testing.assert_allclose(np.abs(nearest).sum(), 1.5, rtol=1e-5)
    points = rng.laplace(size=(20_000, 6))
    points *= 1.5 * rng.random((20_000, 1)) ** 0.1 / np.abs(points).sum(1)[:, None]
    near = nearest + 0.1 * (points - nearest)  # convex: still in the ball
    for others in (points, near):
        distances = np.linalg.norm(others - delta, axis=1)
        assert distances.min() > np.linalg.norm(nearest - delta) - 1e-6


BAD_INPUT = {
    "epsilon": (dict(epsilon=-0.1), ValueError, "epsilon must be >= 0, got -0.1"),
    "step size": (dict(step_size=-1.0), ValueError, "step_size must be >= 0"),
    "steps": (dict(steps=-1), ValueError, "steps must be >= 0"),
    "norm": (dict(norm="l3"), ValueError, "unknown norm 'l3'; did you mean 'l2'"),
    "bounds": (dict(bounds=(1.0, 0.0)), ValueError, r"low < high, got \(1.0, 0.0\)"),
    "x outside": (dict(x=X + 1), ValueError, r"x must lie within bounds \[0.0, 1.0\]"),
    "x of bytes": (
        dict(x=jnp.zeros((2, 3), jnp.uint8)),
        TypeError,
        "x must be floating",
    ),
    "x_init": (
        dict(x_init=X[:2]),
        ValueError,
        r"got x_init \(2, 3, 4\), x \(5, 3, 4\)",
    ),
    "keys": (dict(key=jax.random.split(jax.random.key(0), 3)), ValueError, "5 keys"),
    "no key": (dict(key=0), TypeError, r"a key such as jax.random.key\(0\), got 0"),
    "epsilon an example": (
        dict(epsilon=jnp.full(5, 0.1)),
        ValueError,
        r"epsilon must be one number for all examples, got an array of shape \(5,\)",
    ),
    "epsilon in words": (dict(epsilon="8/255"), ValueError, "epsilon must be one num"),
    "half a step": (dict(steps=2.5), ValueError, "steps must be an integer >= 0"),
    "norm of NumPy": (dict(norm=np.inf), ValueError, "norm must be .* got inf; use 'l"),
    "bounds of channels": (
        dict(bounds=(np.zeros(3), np.ones(3))),
        ValueError,
        "bounds must be two numbers",
    ),
    "reduced loss": (
        dict(loss_fn=lambda x: x.sum()),
        ValueError,
        "one loss per example",
    ),
}


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input(name):
    changed, error, message = BAD_INPUT[name]
    arguments = dict(loss_fn=linear, x=X, epsilon=0.1, step_size=0.1, steps=1) | changed
    loss_fn, x = arguments.pop("loss_fn"), arguments.pop("x")
    with pytest.raises(error, match=message):
        attacks.pgd(loss_fn, x, **arguments)
