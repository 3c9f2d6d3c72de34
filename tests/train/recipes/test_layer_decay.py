"""Layer-wise decay of the learning rate: which layer is how deep, and its share."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax import models
from tests.support.recipes import batch, make
from train.devices import sharding
from train.networks import classes
from train.recipes.optim import layers, leaves

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


def test_a_transformers_tokens_are_of_its_first_layer():
    """As in timm: the class token, the positions and the patches are one layer."""
    depths = layers.depths(models.create("vit_patch4_2_16", 4), (12, 12, 1))
    own = {name: depths.pop(name) for name in ("cls_token", "pos_embed")}
    assert own == {"cls_token": 3, "pos_embed": 3}
    assert of_modules(depths) == {
        "patch_embed": 3, "block0": 2, "block1": 1, "norm": 1, "classifier": 0,
    }  # fmt: skip


def test_tokens_and_vectors_are_no_matrices():
    """Neither weight decay nor weight perturbation is for them."""
    model = models.create("vit_patch4_2_16", 4)
    x = jax.ShapeDtypeStruct((1, 12, 12, 1), jnp.float32)
    params = jax.eval_shape(model.init, jax.random.key(0), x)["params"]
    chosen = leaves.matrices(params)
    named = {
        jax.tree_util.keystr(path, simple=True, separator="/")
        for path, is_matrix in jax.tree.leaves_with_path(chosen)
        if is_matrix
    }
    blocks = {
        f"block{index}/{layer}/kernel"
        for index in (0, 1)
        for layer in ("attention/qkv", "attention/proj", "mlp/fc1", "mlp/fc2")
    }
    assert named == {"patch_embed/kernel", "classifier/kernel"} | blocks


@pytest.mark.parametrize("spared", [True, False])
def test_adamw_decays_the_tokens_only_where_vectors_decay(spared):
    """Without a gradient, a step changes what decays and nothing else."""
    settings = dict(
        name="supervised", model="vit_patch4_2_16", optimizer__name="adamw",
        optimizer__weight_decay=0.5, optimizer__decay_vectors=not spared,
    )  # fmt: skip
    state = jax.jit(make(**settings)[0].init)(jax.random.key(0))

    @jax.jit
    def stepped(state):
        zeros = jax.tree.map(jnp.zeros_like, state.params)
        return state.apply_gradients(grads=zeros)

    moved = stepped(state).params
    for name in ("cls_token", "pos_embed"):
        assert np.array_equal(moved[name], state.params[name]) == spared
    kernel = ("block1", "mlp", "fc1", "kernel")
    before, after = state.params, moved
    for part in kernel:
        before, after = before[part], after[part]
    np.testing.assert_allclose(after, (1 - 0.05 * 0.5) * before, rtol=1e-5)
