"""Layer-wise decay of the learning rate: which layer is how deep, and its share."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax import models
from tests.support.recipes import batch, make
from train.devices import sharding
from train.networks import classes
from train.recipes.optim import layers

WIDE_RESNET = {
    "stem": 4, "group1_block0": 3, "group2_block0": 2, "group3_block0": 1, "norm": 1,
    "classifier": 0,
}  # fmt: skip


def of_modules(depths):
    """Each module's depth, which all of its leaves share."""
    found = {name: {*jax.tree.leaves(tree)} for name, tree in depths.items()}
    assert all(len(depth) == 1 for depth in found.values())
    return {name: depth.pop() for name, depth in found.items()}


def test_layers_are_counted_from_the_classifier():
    model = models.create("wide_resnet_10_1", 4)
    assert of_modules(layers.depths(model, (12, 12, 3))) == WIDE_RESNET
    cnn = of_modules(layers.depths(models.create("cnn", 4), (12, 12, 1)))
    assert cnn == {"Conv_0": 3, "Conv_1": 2, "Dense_0": 1, "Dense_1": 0}


def test_the_tenth_layer_is_not_taken_for_the_second():
    """Names sort `block10` before `block2`; calls do not."""
    depths = of_modules(layers.depths(models.create("cifar_shufflev1", 4), (32, 32, 3)))
    blocks = [name for name in depths if "block" in name]
    expected = sorted(
        blocks, key=lambda name: [int(n) for n in name[5:].split("_block")]
    )
    assert sorted(blocks, key=lambda name: -depths[name]) == expected


def test_wrappers_change_no_depth():
    model = models.create("wide_resnet_10_1", 8)
    padded = classes.PaddedClasses(model, 4)
    assert of_modules(layers.depths(padded, (12, 12, 3))) == WIDE_RESNET
    gathered = sharding.GatheredModel(
        padded, sharding.create_mesh((8, 1)), model.classifier_layer
    )
    assert of_modules(layers.depths(gathered, (12, 12, 3))) == WIDE_RESNET


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_a_step_of_each_layer_is_its_share_of_the_plain_step(name):
    settings = dict(name="supervised", optimizer__name=name)
    steps = {}
    for decay in (1.0, 0.5):
        built, _ = make(**settings, optimizer__layer_decay=decay)
        state = built.init(jax.random.key(0))
        after, _ = jax.jit(built.step)(state, batch())
        steps[decay] = jax.tree.map(jnp.subtract, after.params, state.params)
    shares = {"Conv_0": 0.125, "Conv_1": 0.25, "Dense_0": 0.5, "Dense_1": 1.0}
    for module, share in shares.items():
        for leaf in steps[1.0][module]:
            np.testing.assert_allclose(
                steps[0.5][module][leaf], share * steps[1.0][module][leaf],
                rtol=1e-3, atol=1e-6,
            )  # fmt: skip
