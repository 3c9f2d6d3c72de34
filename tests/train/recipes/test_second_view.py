"""A second view of each image in adversarial training."""

import jax
import numpy as np
import pytest

from tests.support.recipes import (
    assert_trees_close,
    batch,
    distance,
    make,
)

# An attack that draws nothing, on a network without BatchNorm: a row's loss is its own.
DETERMINED = dict(attack__loss="cross_entropy", attack__start="natural")


def with_second_view(first, second):
    return first | {"second_view": second["image"]}


@pytest.mark.long
@pytest.mark.parametrize("parts", [pytest.param(1, marks=pytest.mark.long), 2])
def test_a_second_view_adds_its_weighted_loss(parts):
    weight, settings = 0.3, dict(DETERMINED, accumulate=parts)
    first, second = batch(), batch(start=16)
    second = second | {"label": first["label"]}
    alone = make(**DETERMINED)[0]
    both = make(**settings, loss__second_view_weight=weight)[0]
    state = alone.init(jax.random.key(0))
    one, metrics = jax.jit(alone.step)(state, first)
    _, seconds = jax.jit(alone.step)(state, second)
    new, together = jax.jit(both.step)(state, with_second_view(first, second))
    for name in ("loss", "cross_entropy", "divergence"):
        expected = metrics[name] + weight * seconds[name]
        np.testing.assert_allclose(together[name], expected, rtol=1e-5)
    for name in ("natural_accuracy", "robust_accuracy"):
        np.testing.assert_allclose(together[name], metrics[name], rtol=1e-6)
    assert_trees_close(new.class_means, one.class_means, atol=1e-5)
    assert distance(new.params, one.params) > 0.1


@pytest.mark.long
def test_groups_of_the_batch_are_of_one_kind_of_view():
    first, second = batch(), batch(start=16) | {"label": batch()["label"]}
    settings = dict(
        DETERMINED, model="wide_resnet_10_1", batch_norm__updates=("natural",)
    )
    alone, both = (make(**settings, model__bn_groups=groups)[0] for groups in (1, 2))
    state = alone.init(jax.random.key(0))
    firsts, seconds = (
        jax.jit(alone.step)(state, view)[0].batch_stats for view in (first, second)
    )
    new = jax.jit(both.step)(state, with_second_view(first, second))[0].batch_stats
    assert_trees_close(new, firsts, atol=1e-5)
    assert distance(firsts, seconds) > 1e-2


@pytest.mark.long
def test_the_weight_perturbation_weighs_views_as_it_is_told():
    first, second = batch(), batch(start=16) | {"label": batch()["label"]}
    settings = dict(DETERMINED, awp__gamma=0.1, loss__second_view_weight=0.0)
    views = with_second_view(first, second)
    params = {}
    for weight in (0.0, 1.0):
        recipe_ = make(**settings, awp__second_view_weight=weight)[0]
        state = recipe_.init(jax.random.key(0))
        params[weight] = jax.jit(recipe_.step)(state, views)[0].params
    alone = make(**DETERMINED, awp__gamma=0.1)[0]
    expected = jax.jit(alone.step)(state, first)[0].params
    assert_trees_close(params[0.0], expected, atol=2e-6)
    assert distance(params[1.0], expected) > 1e-3
