"""The divergences in a step: their terms, their weights and what moves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import base
from tests.support.recipes import (
    after,
    assert_trees_close,
    batch,
    distance,
    make,
    taught,
)
from tests.support.references import reference
from train.recipes import RECIPES, recipe
from train.recipes.losses import DIVERGENCES, Coefficients, Target


@pytest.mark.long
def test_class_wise_dkl_is_ikl_but_for_the_adversarial_squared_error():
    """And DKL itself, where the weights are the sample's own."""
    config = base.get_config().loss
    config.alpha, config.beta = 20.0, 4.0
    coefficients = Coefficients.of(config)
    rng = np.random.default_rng(0)
    adversarial, natural = (jnp.asarray(rng.normal(size=(6, 4))) for _ in range(2))
    weights = jax.nn.softmax(jnp.asarray(rng.normal(size=(6, 4))))

    def gradients(name, weights):
        def total(a, n):
            target = Target(n, jnp.zeros(6, int), weights)
            return jnp.sum(DIVERGENCES[name].loss(a, target, coefficients))

        return jax.grad(total, argnums=(0, 1))(adversarial, natural)

    ours, theirs = gradients("class_wise_dkl", weights), gradients("ikl", weights)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-5)
    of_soft_labels = config.beta * (
        jax.nn.softmax(adversarial) - jax.nn.softmax(natural)
    )
    np.testing.assert_allclose(ours[0], of_soft_labels, rtol=1e-4, atol=1e-5)
    assert jnp.abs(theirs[0] - ours[0]).max() > 0.1
    own = gradients("class_wise_dkl", jax.nn.softmax(natural))
    for class_wise, expected in zip(own, gradients("dkl", None), strict=True):
        np.testing.assert_allclose(class_wise, expected, rtol=1e-4, atol=1e-5)
    config.weights = "sample"
    assert DIVERGENCES["class_wise_dkl"].uses_class_means(config)


def test_class_wise_dkl_without_class_means_is_refused():
    logits = jnp.zeros((2, 4))
    coefficients = Coefficients.of(base.get_config().loss)
    with pytest.raises(ValueError, match="class_wise_dkl needs class means"):
        DIVERGENCES["class_wise_dkl"].loss(
            logits, Target(logits, jnp.zeros(2, int)), coefficients
        )


@pytest.mark.parametrize(
    "loss",
    [
        pytest.param(name, marks=() if name in ("kl", "ikl") else pytest.mark.long)
        for name in sorted(DIVERGENCES)
    ],
)
def test_every_divergence_trains_every_recipe_that_takes_one(loss):
    """Those with streams do so in `semi_supervised/test_gradients.py`."""
    without_streams = RECIPES["supervised"].streams
    for name, recipe_ in RECIPES.items():
        if not recipe_.divergences:
            continue
        assert loss in recipe_.divergences
        if recipe_.streams is not without_streams:
            continue
        built, _ = make(name=name, loss__name=loss)
        state, metrics = built.step(built.init(jax.random.key(0)), taught())
        assert np.isfinite(metrics["loss"]), name
        assert distance(state.params, built.init(jax.random.key(0)).params) > 1e-3


@pytest.mark.long
def test_training_by_dkl_is_training_by_kl():
    runs = {
        name: after(make(loss__name=name, loss__alpha=1.0, attack__loss="kl")[0], 3)
        for name in ("kl", "dkl")
    }
    kl, dkl = (runs[name][0] for name in ("kl", "dkl"))
    assert_trees_close(dkl.params, kl.params, atol=2e-6)
    start = make()[0].init(jax.random.key(0))
    assert distance(kl.params, start.params) > 1.0
    assert abs(runs["kl"][1]["divergence"] - runs["dkl"][1]["divergence"]) > 1e-4


@pytest.mark.parametrize("loss", ["kl", "dkl", "ikl", "gkl"])
def test_metrics_are_the_terms_of_the_loss(loss):
    recipe_, _ = make(loss__name=loss, loss__strength=3.0)
    _, metrics = after(recipe_)
    total = metrics["cross_entropy"] + 3.0 * metrics["divergence"]
    np.testing.assert_allclose(metrics["loss"], total, rtol=1e-6)


@pytest.mark.long
def test_class_means_gather_natural_predictions_at_their_temperature():
    recipe_, task = make(loss__weight_temperature=2.0, model="wide_resnet_10_1")
    state, _ = after(recipe_)
    start = recipe_.init(jax.random.key(0))
    data = batch()
    logits, _ = recipe.train_logits(
        task.model, start.weights, recipe.to_pixels(data["image"])
    )
    predictions = reference.softmax(np.asarray(logits, np.float64) / 2.0)
    expected = np.stack(
        [predictions[np.asarray(data["label"]) == c].sum(0) for c in range(4)]
    )
    np.testing.assert_allclose(state.class_means.total, expected, rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(state.class_means.mean, 0.25)
    ended = recipe_.end_epoch(state)
    np.testing.assert_allclose(ended.class_means.mean.sum(1), 1.0, rtol=1e-5)
    assert not np.any(ended.class_means.count)


@pytest.mark.parametrize(
    ("loss", "weights", "kept"),
    [
        ("ikl", "class_means", True),
        ("gkl", "class_means", True),
        ("ikl", "sample", False),
        ("kl", "class_means", False),
        ("dkl", "class_means", False),
    ],
)
def test_class_means_are_kept_where_a_loss_needs_them(loss, weights, kept):
    state, _ = after(make(loss__name=loss, loss__weights=weights)[0])
    assert (state.class_means is not None) == kept


def test_new_class_means_keep_their_share_of_the_old_ones():
    recipe_, _ = make(
        loss__name="ikl", loss__weights="class_means", loss__class_means_momentum=0.25
    )
    state = recipe_.init(jax.random.key(0))
    logits = 2 * jax.random.normal(jax.random.key(1), (8, 4))
    means = state.class_means.accumulate(logits, jnp.arange(8) % 4)
    ended = recipe_.end_epoch(state.replace(class_means=means)).class_means
    observed = np.asarray(means.advance().mean)
    np.testing.assert_allclose(ended.mean, 0.25 * 0.25 + 0.75 * observed, rtol=1e-5)
    assert not ended.count.any()


@pytest.mark.parametrize("name", ["kl", "dkl", "class_wise_dkl"])
def test_the_temperature_divides_both_logits(name):
    rng = np.random.default_rng(0)
    logits, target = (jnp.asarray(rng.normal(size=(6, 4))) for _ in range(2))
    weights = jax.nn.softmax(jnp.asarray(rng.normal(size=(6, 4))))
    labels, loss = jnp.arange(6) % 4, DIVERGENCES[name].loss
    warm = loss(logits, Target(target, labels, weights), Coefficients(2, 0.5, 1, 4.0))
    cooled = Target(target / 4, labels, weights)
    plain = loss(logits / 4, cooled, Coefficients(2, 0.5, 1))
    np.testing.assert_allclose(warm, plain, rtol=1e-5)
