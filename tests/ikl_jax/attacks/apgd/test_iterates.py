"""APGD's iterates against its description in NumPy float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax.attacks.apgd import Apgd
from ikl_jax.attacks.apgd.halving import Point
from ikl_jax.attacks.common.attack import Batch
from ikl_jax.attacks.common.classifier import Classifier
from tests.conftest import cases
from tests.ikl_jax.attacks.apgd.problems import CROSS_ENTROPY, NORMS, keys_of
from tests.ikl_jax.attacks.sizes import size
from tests.support.references import apgd_reference


class Float64(Classifier):
    """So that the description's numbers are met to more than a sign's flip."""

    def logits(self, constants, x, keys):
        return self._fn(x, keys)


def assert_agrees(state, expected, decided, **fields):
    assert decided.sum() >= 5
    for name, got in fields.items():
        want = np.array([row[name] for row in expected])
        np.testing.assert_allclose(got[decided], want[decided], atol=1e-7, err_msg=name)
    assert not state.found.broken.all()  # it did not end early


@pytest.mark.parametrize(
    ("norm", "epsilon", "steps", "before"),
    [
        pytest.param("linf", 0.15, 50, None, marks=pytest.mark.long),
        ("linf", 0.15, 50, 0.0),
        pytest.param("l2", 0.3, 20, None, marks=pytest.mark.long),
        ("l2", 0.3, 20, 0.0),
    ],
)
@pytest.mark.usefixtures("x64")
def test_iterates_agree_with_the_description(norm, epsilon, steps, before):
    perceptron = apgd_reference.Perceptron(seed=3)
    x = np.random.default_rng(1).uniform(size=(12, 6))
    labels = perceptron.logits(x).argmax(-1)
    classifier = Float64.of(lambda x: perceptron.logits(x, jnp), x)
    attack = Apgd(
        classifier, epsilon, norm, CROSS_ENTROPY, steps, loss_before_start=before
    )
    keys = keys_of(len(x))
    state = attack.search(jnp.asarray(x), labels, labels, keys)
    start = attack._rules.start(
        x, jax.vmap(lambda key: jax.random.fold_in(key, 0))(keys), epsilon
    )
    expected = [
        apgd_reference.search(perceptron, *row, epsilon, norm, steps, before)
        for row in zip(x, labels, np.asarray(start), strict=True)
    ]
    assert sum(len(row["halved"]) for row in expected) > len(x)
    # In l-infinity, what converges does so to a corner, where no loss is rounded.
    least = {"linf": -1.0, "l2": 1e-9}[norm]
    decided = np.array([row["margin"] > least for row in expected])
    assert_agrees(
        state, expected, decided, last=state.now.x, best=state.best.x, loss=state.best.loss,
        step=state.memory.step_size, first_wrong=state.found.x_adv,
        broken=state.found.broken,
    )  # fmt: skip


@pytest.mark.long
@pytest.mark.usefixtures("x64")
def test_l1_iterates_agree_with_the_description():
    perceptron = apgd_reference.Perceptron(seed=3, inputs=30, scale=2.0)
    x = np.random.default_rng(1).uniform(size=(8, 30))
    labels = perceptron.logits(x).argmax(-1)
    classifier = Float64.of(lambda x: perceptron.logits(x, jnp), x)
    attack = Apgd(classifier, 0.8, "l1", CROSS_ENTROPY, 100)
    batch = Batch(jnp.asarray(x), labels, labels, keys_of(len(x)))
    state = attack.search(*batch)
    expected = [
        apgd_reference.search_l1(perceptron, *row, 0.8, 100)
        for row in zip(x, labels, np.asarray(attack._start(batch, 2.4)), strict=True)
    ]
    assert sum(row["restarts"] for row in expected) > 3 * len(x)
    assert_agrees(
        state, expected, np.ones(len(x), bool), last=state.now.x, best=state.best.x, loss=state.best.loss,
        step=state.memory.step_size,
    )  # fmt: skip


@pytest.mark.parametrize(("before", "step_size"), [(None, 0.1), (0.0, 0.2)])
def test_what_the_first_steps_loss_is_compared_with(before, step_size):
    """A loss of 1 after one of 2 is no increase, but one after the authors' zero."""
    rules = Apgd(None, 0.1, "linf", CROSS_ENTROPY, loss_before_start=before)._rules
    x = jnp.full((1, 2), 0.5)
    start = Point(x, jnp.array([2.0]), x)
    worse = Point(x + 0.1, jnp.array([1.0]), x)
    memory = rules.begin(x, start, 0.1)
    now, memory = rules.adapt(x, worse, start, memory, jnp.asarray(1), 0.1)
    np.testing.assert_allclose(memory.step_size, step_size)
    np.testing.assert_array_equal(now.x, x if before is None else worse.x)


def test_checkpoints_are_the_papers():
    rules = Apgd(None, 0.1, "linf", CROSS_ENTROPY)._rules
    lengths = rules.checkpoints(100)
    np.testing.assert_array_equal(
        np.flatnonzero(lengths) + 1, [22, 41, 57, 70, 80, 87, 93, 99]
    )
    np.testing.assert_array_equal(lengths[lengths > 0], [22, 19, 16, 13, 10, 7, 6, 6])
    for steps in range(4):
        assert rules.checkpoints(steps).tolist() == [1] * steps


def test_l1_searches_larger_balls_first():
    rules = Apgd(None, 1.0, "l1", CROSS_ENTROPY)._rules
    assert rules.phases(1.0, 100) == [(3.0, 30), (2.0, 30), (1.0, 40)]
    for steps in range(7):
        assert sum(phase.steps for phase in rules.phases(1.0, steps)) == steps


@pytest.mark.parametrize("norm", cases(NORMS, quick=["linf"]))
def test_the_start_is_random_and_depends_on_the_examples_key(norm):
    x = jnp.full((4, 5, 3), 0.5)
    rules = Apgd(None, 0.1, norm, CROSS_ENTROPY)._rules
    start = rules.project(rules.start(x, keys_of(4), 0.1), x, 0.1)
    np.testing.assert_allclose(size(start - x, norm), 0.1, rtol=1e-5)
    assert len({tuple(row.ravel()) for row in np.asarray(start)}) == 4
    alone = rules.project(rules.start(x[2:3], keys_of(4)[2:3], 0.1), x[2:3], 0.1)
    np.testing.assert_allclose(start[2:3], alone, atol=1e-7)
