"""PGD's predictions: by restart, whatever the batch, and of what they are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax import models
from tests.conftest import small_images
from train.data.splits import InMemory
from train.devices import sharding
from train.evaluation import batch_attack
from train.evaluation.batch_attack import BatchAttack, PgdAttack
from train.evaluation.pgd import Evaluator
from train.evaluation.predictions import Predictions, in_order, joined
from train.recipes.state import Weights


@pytest.fixture(scope="module")
def classifier():
    """A linear one that is right about most of the images, and their split."""
    images, labels = small_images()
    split = InMemory(images[:37, ..., None], labels[:37].astype(np.int32))
    model = models.create("cnn_4", 4)
    variables = model.init(jax.random.key(3), jnp.zeros((1, 12, 12, 1)))
    return model, Weights(variables["params"], {}), split


def predictions(classifier, *, batch_size=16, keep_logits=False, limit=None, **attack):
    model, weights, split = classifier
    evaluator = Evaluator(
        model, split, PgdAttack(**{"epsilon": 0.1, "steps": 3, **attack}),
        sharding.create_mesh(), num_classes=4, batch_size=batch_size, seed=5,
    )  # fmt: skip
    return evaluator(weights, limit, keep_logits=keep_logits)


def test_of_each_restart_whatever_the_batch(classifier):
    found = predictions(classifier, restarts=2, keep_logits=True)
    assert found.resisted.shape == (2, 37)
    np.testing.assert_array_equal(found.predicted, found.logits.argmax(axis=1))
    np.testing.assert_array_equal(
        found.robust, found.correct & found.resisted[0] & found.resisted[1]
    )
    other = predictions(classifier, restarts=2, batch_size=8, limit=20)
    for name in ("indices", "labels", "predicted"):
        np.testing.assert_array_equal(
            getattr(other, name), getattr(found, name)[:20], err_msg=name
        )
    np.testing.assert_array_equal(other.resisted, found.resisted[:, :20])
    assert other.logits is None


def attacked(classifier, restart, **settings):
    """The adversarial examples of the first batch."""
    model, weights, split = classifier
    evaluator = Evaluator(
        model, split, PgdAttack(epsilon=0.1, **settings), sharding.create_mesh(),
        num_classes=4, batch_size=16,
    )  # fmt: skip
    batch = next(evaluator._outputs.batches())
    return np.asarray(evaluator._attack(weights, batch, restart))


def test_restarts_begin_elsewhere(classifier):
    first, second = (attacked(classifier, restart, steps=0) for restart in (0, 1))
    assert np.abs(first - second).max() > 0.05


def test_a_long_attack_goes_on_from_where_its_last_part_ended(classifier, monkeypatch):
    in_parts = attacked(classifier, 0, steps=7, relative_step_size=0.1)
    monkeypatch.setattr(batch_attack, "CPU_CHUNK", 7)
    at_once = attacked(classifier, 0, steps=7, relative_step_size=0.1)
    np.testing.assert_allclose(in_parts, at_once, atol=1e-6)


@pytest.mark.parametrize(("platform", "parts"), [("cpu", [5, 2]), ("tpu", [7])])
def test_the_devices_of_the_mesh_decide_into_which_parts(
    platform, parts, classifier, monkeypatch
):
    monkeypatch.setattr(sharding, "platform", lambda mesh: platform)
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    steps, advance = [], BatchAttack._steps

    def counted(*args, **given):
        steps.append(given["steps"])
        return advance(*args, **given)

    monkeypatch.setattr(BatchAttack, "_steps", counted)
    attacked(classifier, 0, steps=7)
    assert steps == parts


def test_in_a_ball_of_no_size_nothing_changes(classifier):
    found = predictions(classifier, epsilon=0.0)
    np.testing.assert_array_equal(found.resisted[0], found.correct)
    assert found.score == found.robust_accuracy == found.natural_accuracy


def test_without_restarts_there_is_natural_accuracy_alone(classifier):
    found = predictions(classifier, restarts=0)
    assert found.resisted is found.robust is found.robust_accuracy is None
    assert found.score == found.natural_accuracy


def test_robust_is_right_as_it_is_and_after_every_restart():
    labels = np.array([0, 1, 2, 3])
    found = Predictions(
        np.arange(4), labels, np.array([0, 1, 2, 0]),
        np.array([[True, True, False, True], [True, False, True, True]]),
    )  # fmt: skip
    np.testing.assert_array_equal(found.robust, [True, False, False, False])
    assert (found.natural_accuracy, found.robust_accuracy) == (0.75, 0.25)


def test_parts_of_several_processes_are_put_in_order():
    parts = [
        Predictions(
            np.array(rows), np.array(rows) % 3, np.zeros(len(rows), int),
            np.array([rows, rows]) > 2, np.array(rows)[:, None] / 10,
        )
        for rows in ([4, 1], [0, 5], [3, 1, 2])
    ]  # fmt: skip
    whole = in_order(joined(parts))
    np.testing.assert_array_equal(whole.indices, np.arange(6))
    np.testing.assert_array_equal(whole.labels, np.arange(6) % 3)
    np.testing.assert_array_equal(whole.resisted, [np.arange(6) > 2] * 2)
    np.testing.assert_array_equal(whole.logits[:, 0], np.arange(6) / 10)
    without = [part._replace(resisted=None, logits=None) for part in parts]
    assert in_order(joined(without))[3:] == (None, None)


def test_any_examples_are_attacked_as_among_all(classifier):
    model, weights, split = classifier
    evaluator = Evaluator(
        model, split, PgdAttack(epsilon=0.1, steps=3), sharding.create_mesh(),
        num_classes=4, batch_size=16, seed=5,
    )  # fmt: skip
    whole, some = evaluator(weights, keep_logits=True), np.arange(1, 37, 2)
    parts = list(evaluator.parts(weights, some))
    assert [len(part.indices) for part in parts] == [16, 2]
    found = joined(parts)
    np.testing.assert_array_equal(found.indices, some)
    np.testing.assert_array_equal(found.predicted, whole.predicted[some])
    np.testing.assert_array_equal(found.resisted, whole.resisted[:, some])
    np.testing.assert_array_equal(found.logits, whole.logits[some])
    every, second = (
        np.asarray(evaluator._attack(weights, next(batches), 0))
        for batches in (
            evaluator._outputs.batches(),
            evaluator._outputs.batches_of(some),
        )
    )
    np.testing.assert_array_equal(second[:8], every[1::2])


def test_few_images_are_shown_as_many_as_there_are(classifier):
    model, weights, split = classifier
    few = InMemory(split.images[:5], split.labels[:5])
    evaluator = Evaluator(
        model, few, PgdAttack(epsilon=0.1, steps=1), sharding.create_mesh(),
        num_classes=4, batch_size=16,
    )  # fmt: skip
    images = evaluator.examples(weights)
    assert {len(array) for array in images} == {5}
    np.testing.assert_array_equal(images.labels, few.labels)
    assert 0 < np.abs(images.x_adv - images.x).max() <= 0.1 + 1e-6


def test_logits_that_are_not_finite_are_noticed(classifier):
    model, weights, split = classifier
    evaluator = Evaluator(
        model, split, PgdAttack(epsilon=0.1), sharding.create_mesh(),
        num_classes=4, batch_size=16,
    )  # fmt: skip
    assert evaluator.is_finite(weights)
    ruined = jax.tree.map(lambda leaf: leaf * jnp.nan, weights)
    assert not evaluator.is_finite(ruined)
