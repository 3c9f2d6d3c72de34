"""One restart of FAB, as an attack of the ensemble."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax import attacks
from ikl_jax.attacks.common.classifier import Classifier
from ikl_jax.attacks.fab.boundary import towards_nearest, towards_target
from ikl_jax.attacks.fab.search import Fab, FromRandomPoint
from tests.conftest import cases
from tests.ikl_jax.attacks.fab.problems import (
    CLASSES,
    NORMS,
    ROWS,
    X,
    attack_of,
    epsilon_that_breaks_half,
    linear,
    mlp,
    other_classes,
    predictions,
    run,
)
from tests.ikl_jax.attacks.sizes import size as sizes


@pytest.mark.long
@pytest.mark.parametrize("norm", cases(NORMS, quick=["l2"]))
def test_restarts_begin_at_random_points(norm):
    labels = predictions(mlp, X)
    attack = attack_of(
        mlp, epsilon=epsilon_that_breaks_half(norm), norm=norm, steps=8,
        boundary=towards_nearest,
    )  # fmt: skip
    restart = FromRandomPoint(attack, radius=0.5)
    keys = jax.random.split(jax.random.key(0), ROWS)
    start, left = restart._start(jnp.full_like(X, 0.5), keys)
    inside = np.all((start > 0) & (start < 1), axis=1)
    radius = sizes(start - 0.5, norm)
    np.testing.assert_allclose(radius[inside], 0.5 * attack.epsilon, rtol=1e-5)
    assert inside.any()
    assert np.all(np.ptp(np.asarray(start), axis=0) > 0)
    assert not np.any(jax.random.key_data(left) == jax.random.key_data(keys))
    start, _ = restart._start(jnp.asarray(X), keys)
    assert ((start >= 0) & (start <= 1)).all()
    found = run(restart, X, labels, labels)
    assert 0 < found.broken.sum() < ROWS
    assert (predictions(mlp, found.x_adv) != labels)[found.broken].all()
    assert (sizes(found.x_adv - X, norm)[found.broken] <= attack.epsilon).all()
    other = run(restart, X, labels, labels, key=1)
    assert np.any(found.x_adv != other.x_adv)


@pytest.mark.parametrize("boundary", [towards_target, towards_nearest])
def test_slopes_that_are_not_numbers_stop_nothing(boundary):
    x = X.copy()
    x[:, 0] = 0.0  # where the root's slope is infinite
    rooted = lambda x: mlp(x) + 0 * jnp.sqrt(x[:, :1])
    labels = predictions(rooted, x)
    slopes = jax.grad(lambda x: rooted(x).sum())(jnp.asarray(x))
    assert not np.isfinite(slopes).all()
    attack = attack_of(rooted, x, epsilon=10.0, steps=15, boundary=boundary)
    found = run(attack, x, labels, other_classes(labels))
    assert np.isfinite(found.x_adv).all()
    assert found.broken.mean() > 0.5


@pytest.mark.parametrize("norm", cases(NORMS, quick=["l2"]))
def test_the_attack_finds_what_is_in_the_ball(norm):
    labels = predictions(mlp, X)
    targets = other_classes(labels)
    epsilon = epsilon_that_breaks_half(norm)
    attack = attack_of(mlp, epsilon=epsilon, norm=norm, steps=8)
    found = run(attack, X, labels, targets)
    broken, x_adv = np.asarray(found.broken), np.asarray(found.x_adv)
    least = attacks.fab(mlp, X, labels, targets, norm=norm, steps=8).distance
    np.testing.assert_array_equal(broken, np.asarray(least) <= epsilon)
    assert 0 < broken.sum() < ROWS
    assert (sizes(x_adv - X, norm) <= epsilon * (1 + 1e-6)).all()
    assert ((x_adv >= 0) & (x_adv <= 1)).all()
    assert (predictions(mlp, x_adv)[broken] != labels[broken]).all()
    np.testing.assert_array_equal(x_adv[~broken], X[~broken])


@pytest.mark.long
@pytest.mark.parametrize("norm", NORMS)
def test_the_first_that_is_near_enough_stays(norm):
    labels = predictions(mlp, X)
    arguments = map(jnp.asarray, (X, labels, other_classes(labels)))
    x, *classes = arguments
    keys = jax.random.split(jax.random.key(0), ROWS)
    any_will_do = functools.partial(attack_of, mlp, epsilon=10.0, norm=norm)
    states = [
        any_will_do(steps=steps).nearest(x, *classes, keys, start=x)
        for steps in (1, 3, 12)
    ]
    met = [np.isfinite(state.distance) for state in states]
    for before, after, known in zip(states, states[1:], met, strict=False):
        np.testing.assert_array_equal(after.x_adv[known], before.x_adv[known])
    assert met[0].sum() < met[-1].sum()


def test_a_misclassified_input_is_found_as_it_is():
    labels = other_classes(predictions(mlp, X))
    targets = (labels + 1) % CLASSES
    found = run(attack_of(mlp, epsilon=0.0, steps=3), X, labels, targets)
    assert found.broken.all()
    np.testing.assert_array_equal(found.x_adv, X)
    assert not attacks.fab(mlp, X, labels, targets, steps=3).distance.any()


def test_a_random_network_gives_an_example_its_own_noise():
    def noisy(x, key):
        return mlp(x) + 0.3 * jax.random.normal(key, (1, CLASSES))

    labels = predictions(mlp, X)
    targets = other_classes(labels)
    keys = jax.random.split(jax.random.key(1), ROWS)
    attack = Fab(Classifier.randomised(noisy, jnp.asarray(X)), 0.1, steps=5)
    rows = lambda chosen: attack(
        *(jnp.asarray(v)[chosen] for v in (X, labels, targets)), keys[chosen]
    )
    order = np.arange(ROWS)[::-1].copy()
    whole, turned = rows(np.arange(ROWS)), rows(order)
    np.testing.assert_array_equal(turned.broken, whole.broken[order])
    np.testing.assert_allclose(turned.x_adv, whole.x_adv[order], atol=1e-5)
    other = attack(*map(jnp.asarray, (X, labels, targets)), keys[order])
    assert np.any(other.x_adv != whole.x_adv)


def test_a_network_without_slope_is_not_broken():
    flat = lambda x: (
        jnp.zeros((len(x), 3)) + jnp.array([[1.0, 0.0, 0.0]]) + 0 * x[:, :1]
    )
    zeros = np.zeros(ROWS, int)
    for norm in NORMS:
        found = run(
            attack_of(flat, epsilon=0.5, norm=norm, steps=3), X, zeros, zeros + 1
        )
        assert not found.broken.any()
        np.testing.assert_array_equal(found.x_adv, X)


def test_a_negative_epsilon_is_refused():
    with pytest.raises(ValueError, match="epsilon must be >= 0, got -0.1"):
        attack_of(linear, epsilon=-0.1)
