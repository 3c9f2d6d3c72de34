"""The recipes' steps: that they learn, in what precision, and on how many devices."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.conftest import cases
from tests.support.recipes import (
    after,
    assert_trees_close,
    batch,
    make,
)
from train.devices import sharding
from train.recipes import RECIPES, recipe


@pytest.mark.parametrize(
    "name", cases(["adversarial", "supervised"], quick=["supervised"])
)
def test_the_loss_falls(name, optimised):
    recipe_, _ = make(name=name)
    state, step = recipe_.init(jax.random.key(0)), jax.jit(recipe_.step)
    losses = []
    for _ in range(60):
        state, metrics = step(state, batch(64))
        losses.append(float(metrics["loss"]))
    assert np.mean(losses[-5:]) < 0.8 * losses[0]
    assert metrics["natural_accuracy"] > 0.8


def test_strength_zero_is_natural_training():
    plain, _ = after(make(name="supervised")[0], 2)
    without, _ = after(make(loss__strength=0.0)[0], 2)
    assert_trees_close(without.params, plain.params, atol=1e-6)


X = jnp.zeros((1, 12, 12, 1))


@pytest.mark.slow
def test_bfloat16_learns_and_what_is_kept_stays_float32():
    losses = {}
    for dtype in ("float32", "bfloat16"):
        recipe_, _ = make(name="supervised", model__dtype=dtype)
        state, step = recipe_.init(jax.random.key(0)), jax.jit(recipe_.step)
        trail = [step(state, batch(64))[1]["loss"]]
        for _ in range(60):
            state, metrics = step(state, batch(64))
        losses[dtype] = float(trail[0]), float(metrics["loss"])
    np.testing.assert_allclose(losses["bfloat16"][0], losses["float32"][0], rtol=0.01)
    assert losses["bfloat16"][1] < 0.8 * losses["bfloat16"][0]

    recipe_, task = make(model="wide_resnet_10_1", model__dtype="bfloat16")
    state = jax.eval_shape(recipe_.init, jax.random.key(0))
    after_one, metrics = jax.eval_shape(recipe_.step, state, batch())
    kept = jax.tree.leaves((after_one.replace(key=None, step=None), metrics))
    assert {str(leaf.dtype) for leaf in kept} <= {"float32", "int32"}
    program = str(jax.make_jaxpr(task.model.apply)(state.weights.variables, X))
    assert "bf16" in program


def test_label_smoothing_mixes_in_every_class():
    logits, labels = jax.random.normal(jax.random.key(0), (5, 4)), jnp.arange(5) % 4
    log_probabilities = np.asarray(jax.nn.log_softmax(logits))
    plain = -log_probabilities[np.arange(5), labels].mean()
    smooth = recipe.cross_entropy(logits, labels, 4, 0.1)
    expected = 0.9 * plain - 0.1 * log_probabilities.mean()
    np.testing.assert_allclose(smooth, expected, rtol=1e-5)
    np.testing.assert_allclose(
        recipe.cross_entropy(logits, labels, 4, 0.0), plain, rtol=1e-6
    )


@pytest.mark.long
def test_results_do_not_depend_on_the_number_of_devices():
    from jax.sharding import AxisType, NamedSharding, PartitionSpec

    # An attack whose steps are continuous and well-conditioned: signs of gradients near
    # zero, or directions of a divergence near its minimum, turn another order of
    # summation into another adversarial example.
    recipe_, _ = make(
        model="wide_resnet_10_1",
        awp__gamma=0.005,
        attack__norm="l2",
        attack__loss="cross_entropy",
        attack__epsilon=0.5,
    )
    expected, _ = after(recipe_)
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    data = jax.device_put(batch(), NamedSharding(mesh, PartitionSpec("data")))
    state = jax.device_put(
        recipe_.init(jax.random.key(0)), NamedSharding(mesh, PartitionSpec())
    )
    sharded, _ = jax.jit(recipe_.step)(state, data)
    assert_trees_close(sharded.params, expected.params, atol=1e-4)
    assert_trees_close(sharded.batch_stats, expected.batch_stats, atol=1e-5)
    assert_trees_close(sharded.class_means, expected.class_means, atol=1e-5)


@pytest.mark.long
def test_dividing_the_state_changes_no_step():
    calm = dict(norm="l2", loss="cross_entropy", epsilon=0.5)
    changed = {f"attack__{name}": value for name, value in calm.items()}
    recipe_, task = make(awp__gamma=0.005, **changed)
    expected, _ = after(recipe_)
    mesh = sharding.create_mesh((4, 2))
    classifier = ("Dense_1",)
    model = sharding.GatheredModel(task.model, mesh, classifier)
    divided = RECIPES["adversarial"].build(dataclasses.replace(task, model=model))
    state = divided.init(jax.random.key(0))
    places = sharding.state_shardings(mesh, state, classifier=classifier, fsdp=True)
    data = jax.device_put(batch(), sharding.over_batch(mesh))
    step = jax.jit(divided.step, out_shardings=(places, sharding.replicated(mesh)))
    ours, _ = step(jax.device_put(state, places), data)
    assert any("data" in leaf.sharding.spec for leaf in jax.tree.leaves(ours.params))
    assert_trees_close(ours.params, expected.params, atol=1e-5)
    assert_trees_close(ours.class_means, expected.class_means, atol=1e-5)
