"""Stochastic depth within training steps: new draws in each, none in evaluation."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import base
from tests.support.recipes import (
    assert_trees_close,
    batch,
    distance,
    make,
    taught,
)
from train.base.errors import UserError
from train.devices import sharding
from train.networks import model
from train.recipes import attack, recipe

VIT = "vit_patch4_2_16"  # 9 patches of the images of 12 x 12 pixels
DEEP = {"model": VIT, "model__drop_path": 0.7}
# A step along the loss's gradient, without rounding by the size of the weights.
PLAIN = {"optimizer__weight_decay": 0.0, "optimizer__momentum": 0.0}
STILL = {"attack__steps": 1, "attack__norm": "l2", "attack__loss": "cross_entropy"}


@functools.cache
def compiled(**changed):
    """The initial state and the step of a recipe."""
    built, _ = make(**DEEP | PLAIN | changed)
    return jax.jit(built.init)(jax.random.key(0)), jax.jit(built.step)


def stepped(name="supervised", data=None, step=0, mesh=None, **changed):
    """The weights' change and the metrics of one step, the run's `step`-th."""
    start, take = compiled(name=name, mesh=mesh, **changed)
    start = start.replace(step=jnp.asarray(step, jnp.int32))
    data = batch() if data is None else data
    if mesh is not None:
        start = jax.device_put(start, sharding.replicated(mesh))
        data = jax.device_put(data, sharding.over_batch(mesh))
    state, metrics = take(start, data)
    moved = jax.tree.map(jnp.subtract, state.params, start.params)
    return jax.device_get((moved, metrics))


@pytest.fixture(scope="module")
def first():
    return stepped()


def test_each_step_draws_for_itself_and_again_the_same(first):
    again = stepped()
    assert_trees_close(again, first, rtol=0, atol=0)
    other, _ = stepped(step=1)
    assert distance(other, first[0]) > 1e-3


@pytest.mark.long
def test_parts_and_devices_change_no_draw(first):
    parts = stepped(accumulate=4)
    mesh = sharding.create_mesh((8, 1))
    divided = stepped(mesh=mesh)
    both = stepped(mesh=mesh, accumulate=2)
    for other in (parts, divided, both):
        assert_trees_close(other, first, rtol=1e-3, atol=1e-5)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "data"), [("distillation", taught), ("adversarial", batch)]
)
def test_the_other_recipes_draw_too(name, data):
    changed = {"name": name, "data": data(), **STILL}
    moved, metrics = stepped(**changed)
    assert np.isfinite(metrics["loss"])
    assert distance(stepped(**changed, step=1)[0], moved) > 1e-3
    parts = stepped(**changed, accumulate=2)
    assert_trees_close(parts, (moved, metrics), rtol=1e-2, atol=1e-4)


@pytest.mark.long
def test_each_pass_of_adversarial_training_draws_for_itself():
    """Without an attack the two passes differ in their draws alone."""
    still = {"attack__steps": 0, "attack__start": "natural", "loss__name": "kl"}
    still |= {"attack__loss": "cross_entropy"}
    _, same = stepped("adversarial", model__drop_path=0.0, **still)
    _, drawn = stepped("adversarial", **still)
    assert abs(same["divergence"]) < 1e-6
    assert drawn["divergence"] > 1e-3


@pytest.mark.parametrize("statistics", ["running", "batch"])
def test_what_the_attack_sees(statistics):
    """The whole network with running statistics, else one draw for all its steps."""
    built, task = make(**DEEP)
    weights = jax.jit(built.init)(jax.random.key(0)).weights
    x = recipe.to_pixels(batch()["image"])
    keys = jax.random.split(jax.random.key(5), (2, len(x)))
    logits_of = functools.partial(attack.LOGITS[statistics], task.model, weights, x)
    whole = jax.jit(functools.partial(recipe.evaluate_logits, task.model))(weights, x)
    first, second = (jax.jit(logits_of)(each) for each in keys)
    if statistics == "running":
        np.testing.assert_allclose(first, whole, atol=1e-5)
    assert (np.abs(first - second).max() > 1e-3) == (statistics == "batch")


def created(**changed):
    config = base.get_config()
    config.model.update(changed)
    model.check_config(config.model)
    return model.create(config, 4)


def test_the_config_or_else_the_architecture_sets_it():
    assert created(name="vit_small_patch2_32").drop_path == 0.2
    assert created(name="vit_small_patch2_32", drop_path=0.0).drop_path == 0.0
    network = created(name=VIT, drop_path=0.3, classes_multiple_of=3)
    assert model.draws_in_training(network)
    assert not model.draws_in_training(created(name=VIT))
    assert not model.draws_in_training(created(name="cnn"))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"name": VIT, "drop_path": 1.0}, r"model.drop_path must lie in \[0, 1\), or be -1 .* got 1"),
        ({"name": VIT, "drop_path": -0.5}, r"model.drop_path must lie in \[0, 1\), or be -1 .* got -0.5"),
        ({"name": "cnn", "drop_path": 0.1}, "model.drop_path must be -1.0 for cnn, which has no stochastic depth, got 0.1"),
        ({"name": VIT, "bn_groups": 2}, f"model.bn_groups must be 1 for {VIT}, which has no BatchNorm, got 2"),
        ({"name": VIT, "bn_momentum": 0.2}, f"model.bn_momentum must be 0.1 for {VIT}, which has no BatchNorm"),
    ],
)  # fmt: skip
def test_values_that_no_network_can_use(changed, message):
    with pytest.raises(UserError, match=message):
        created(**changed)


@pytest.mark.long
def test_padded_classes_and_gathered_weights_pass_the_keys_on(first):
    """fsdp on eight devices, with a column of padding: the same draws."""
    built, task = make(**DEEP | PLAIN, name="supervised", model__classes_multiple_of=8)
    mesh = sharding.create_mesh((8, 1))
    gathered = sharding.GatheredModel(
        task.model, mesh, model.classifier_layer(task.model)
    )
    weights = jax.jit(built.init)(jax.random.key(0)).weights
    x = recipe.to_pixels(batch()["image"])
    keys = jax.random.split(jax.random.key(1), len(x))
    ours, plain = (
        jax.jit(functools.partial(recipe.train_logits, each))(weights, x, keys)[0]
        for each in (gathered, task.model)
    )
    assert ours.shape == (16, 8)
    np.testing.assert_allclose(ours, plain, atol=1e-5)
