"""Pseudo-labels: their class means, and what is said about them without their labels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.support.semi_supervised import CLASSES, batch, built, config
from train.recipes import recipe
from train.recipes.semi_supervised import pseudo_labels
from train.recipes.semi_supervised.pseudo_labels import LABELS, PseudoLabels

SURE = np.log([[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.05, 0.05, 0.9], [0.7, 0.2, 0.1]])


def means_of(loss, threshold):
    means = recipe.ClassMeans.create(CLASSES)
    target = jnp.asarray(SURE, jnp.float32)
    pseudo = PseudoLabels.of(target, threshold, loss, means)
    return pseudo, pseudo_labels.added(means, target, pseudo, loss).advance()


def test_class_means_are_of_the_targets_above_the_threshold():
    """A class that no pseudo-label reaches keeps its row; here class 1."""
    pseudo, means = means_of(config("fixmatch", loss__name="ikl").loss, 0.65)
    np.testing.assert_array_equal(pseudo.label, [0, 0, 2, 0])
    np.testing.assert_array_equal(pseudo.mask, [True, False, True, True])
    np.testing.assert_allclose(means.mean[0], [0.75, 0.15, 0.1], rtol=1e-5)
    np.testing.assert_allclose(means.mean[1], np.full(3, 1 / 3), rtol=1e-6)
    np.testing.assert_allclose(means.mean[2], [0.05, 0.05, 0.9], rtol=1e-5)


def test_the_weights_are_the_means_of_the_pseudo_labels_class():
    loss = config("fixmatch", loss__name="ikl").loss
    _, means = means_of(loss, 0.65)
    again = PseudoLabels.of(jnp.asarray(SURE, jnp.float32), 0.65, loss, means)
    np.testing.assert_array_equal(again.weights, means.mean[jnp.array([0, 0, 2, 0])])


@pytest.mark.parametrize("name", ["fixmatch", "mean_teacher"])
def test_an_epoch_without_any_pseudo_label_leaves_the_means_finite(name):
    recipe_ = built(
        name, loss__name="ikl", loss__weights="class_means", unlabelled__threshold=1.0
    )
    state = recipe_.init(jax.random.key(0))
    before = state.class_means.mean
    for number in range(2):
        state, metrics = recipe_.step(state, batch(number))
    state = recipe_.end_epoch(state)
    np.testing.assert_array_equal(state.class_means.mean, before)
    assert np.isfinite(metrics["loss"])


def test_what_is_logged():
    metrics = {
        "loss": jnp.array(2.0), "pseudo_label": jnp.array([0, 1, 2, 2]),
        "mask": jnp.array([True, True, False, True]),
    }  # fmt: skip
    alone = pseudo_labels.judge(metrics, {})
    assert alone == {"loss": 2.0, "mask": 0.75}
    judged = pseudo_labels.judge(metrics, {LABELS: jnp.array([0, 2, 2, 2])})
    part, whole = judged.pop("masked_pseudo_label_accuracy")
    assert (part, whole) == (2, 3)
    assert judged == {"loss": 2.0, "mask": 0.75, "pseudo_label_accuracy": 0.75}
