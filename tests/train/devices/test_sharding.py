"""Meshes, and what the compiled program sends between devices where classes are divided."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ikl_jax
from configs import base
from ikl_jax import ClassMeans
from train.base.errors import UserError
from train.devices import sharding
from train.networks import classes, model
from train.planning import hlo
from train.recipes import RECIPES, Task
from train.recipes.state import Weights

BATCH, CLASSES = 16, 64
LOSSES = {
    "kl": lambda n, m, w: ikl_jax.kl_divergence(n, m),
    "dkl": lambda n, m, w: ikl_jax.dkl_loss(n, m),
    "ikl": ikl_jax.ikl_loss,
    "ikl, sample weights": lambda n, m, w: ikl_jax.ikl_loss(n, m),
    "gkl": ikl_jax.gkl_loss,
}


@pytest.mark.parametrize(
    ("shape", "expected"), [((-1, 1), (8, 1)), ((2, -1), (2, 4)), ((4, 2), (4, 2))]
)
def test_meshes(shape, expected):
    mesh = sharding.create_mesh(shape)
    assert tuple(mesh.shape.values()) == expected
    assert sharding.platform(mesh) == "cpu"


@pytest.mark.parametrize("shape", [(3, 2), (-1, 3), (-1, -1), (8,), (0, 8)])
def test_meshes_that_do_not_fit(shape):
    with pytest.raises(UserError, match="product 8, the number of devices"):
        sharding.create_mesh(shape)


def collectives(compiled):
    """`(kind, entries of its largest array)` of each in a compiled program."""
    return [
        (found.kind, max(math.prod(array.shape) for array in found.arrays))
        for found in hlo.collectives(compiled.as_text())
    ]


@pytest.mark.parametrize("shape", [(1, 8), (2, 4)])
@pytest.mark.parametrize("name", LOSSES)
def test_losses_with_the_classes_divided(name, shape):
    """The same numbers, and a few sums per example are all that travels."""
    keys = jax.random.split(jax.random.key(0), 3)
    logits, target = (3 * jax.random.normal(k, (BATCH, CLASSES)) for k in keys[:2])
    weights = jax.nn.softmax(jax.random.normal(keys[2], (BATCH, CLASSES)))
    mesh = sharding.create_mesh(shape)
    divided = jax.NamedSharding(mesh, jax.P("data", "model"))

    def mean(logits, target, weights):
        return jnp.mean(LOSSES[name](logits, target, weights))

    both = jax.value_and_grad(mean, argnums=(0, 1))
    expected = jax.jit(both)(logits, target, weights)
    program = jax.jit(
        both,
        in_shardings=divided,
        out_shardings=(sharding.replicated(mesh), (divided, divided)),
    )
    arrays = jax.device_put((logits, target, weights), divided)
    found = program(*arrays)
    for ours, theirs in zip(
        jax.tree.leaves(found), jax.tree.leaves(expected), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=1e-7)
    sent = collectives(program.lower(*arrays).compile())
    assert sent
    assert {kind for kind, _ in sent} == {"all-reduce"}
    assert max(size for _, size in sent) <= BATCH


def by_role(num_classes, shape=(2, 4), fsdp=False):
    """Shapes and shardings of an adversarial run's state, of the model "cnn"."""
    config = base.get_config()
    config.update_from_flattened_dict({"averaging.every": "step"})
    network = model.create(config, num_classes)
    task = Task(config, network, num_classes, (8, 8, 1), steps_per_epoch=2)
    state = jax.eval_shape(RECIPES["adversarial"].build(task).init, jax.random.key(0))
    places = sharding.state_shardings(
        sharding.create_mesh(shape), state, fsdp=fsdp,
        classifier=model.classifier_layer(network),
    )  # fmt: skip
    return state, places


def test_a_hidden_layer_as_wide_as_the_classes_is_not_divided_as_the_classifier():
    state, places = by_role(100)
    assert state.params["Dense_0"]["kernel"].shape[-1] == 100
    spread = [
        (path, place.spec)
        for path, place in jax.tree.leaves_with_path(places)
        if "model" in place.spec
    ]
    names = [jax.tree_util.keystr(path) for path, _ in spread]
    # The parameter, its average, the momentum, and the class means.
    assert len(names) == 5
    assert sum(name.endswith("['Dense_1']['kernel']") for name in names) == 3
    assert sum(name.startswith(".class_means") for name in names) == 2
    assert {spec for _, spec in spread} == {jax.P(None, "model")}


def test_fsdp_divides_a_square_hidden_layer_but_no_class_means():
    state, places = by_role(128, (8, 1), fsdp=True)
    assert state.class_means.mean.shape == (128, 128)
    assert "data" not in places.class_means.mean.spec
    square = {"hidden": {"kernel": jax.ShapeDtypeStruct((128, 128), "float32")}}
    found = sharding.state_shardings(
        sharding.create_mesh(), square, classifier=("classifier",), fsdp=True
    )
    assert "data" in found["hidden"]["kernel"].spec


def test_a_layer_within_a_block_may_be_called_as_the_classifier_is():
    kernel = {"kernel": jax.ShapeDtypeStruct((8, 16), "float32")}
    params = {"Dense_1": kernel, "block": {"Dense_1": kernel}}
    weights = Weights(params, {})
    places = sharding.state_shardings(
        sharding.create_mesh((2, 4)), weights, classifier=("Dense_1",), fsdp=False
    ).params
    assert places["Dense_1"]["kernel"].spec == jax.P(None, "model")
    assert places["block"]["Dense_1"]["kernel"].spec == jax.P(None, None)


@pytest.mark.parametrize("name", ["cnn", "wide_resnet_10_1", "cifar_vgg8"])
@pytest.mark.parametrize("multiple_of", [1, 8])
def test_models_declare_their_classifier(name, multiple_of):
    config = base.get_config()
    config.model.name, config.model.classes_multiple_of = name, multiple_of
    network = model.create(config, 13)
    image = jax.ShapeDtypeStruct((1, 32, 32, 3), "float32")
    params = jax.eval_shape(network.init, jax.random.key(0), image)["params"]
    for key in model.classifier_layer(network):
        params = params[key]
    assert params["kernel"].shape[-1] == classes.padded_width(13, multiple_of)


def test_a_model_that_declares_no_classifier():
    with pytest.raises(UserError, match="Dense must name the path of its last layer"):
        model.classifier_layer(nn.Dense(3))


def training_step(shape, num_classes, *, multiple_of=1):
    """The adversarial step compiled for a mesh, its state and a batch there."""
    config = base.get_config()
    config.attack.steps, config.awp.gamma = 1, 0.005
    config.loss.label_smoothing = 0.1
    config.model.classes_multiple_of = multiple_of
    config.model.name = "cnn"
    network = model.create(config, num_classes)
    task = Task(config, network, num_classes, (8, 8, 1), steps_per_epoch=2)
    recipe, mesh = RECIPES["adversarial"].build(task), sharding.create_mesh(shape)
    places = sharding.state_shardings(
        mesh, jax.eval_shape(recipe.init, jax.random.key(0)),
        classifier=model.classifier_layer(network), fsdp=False,
    )  # fmt: skip
    state = jax.jit(recipe.init, out_shardings=places)(jax.random.key(0))
    keys = jax.random.split(jax.random.key(1))
    batch = {
        "image": jax.random.bits(keys[0], (BATCH, 8, 8, 1), jnp.uint8),
        "label": jax.random.randint(keys[1], (BATCH,), 0, num_classes),
    }
    batch = jax.device_put(batch, sharding.over_batch(mesh))
    out = (places, sharding.replicated(mesh))
    step = jax.jit(recipe.step, out_shardings=out).lower(state, batch).compile()
    return step, state, batch


@pytest.mark.long
def test_a_training_step_with_the_classes_divided():
    whole, state, batch = training_step((8, 1), 48)
    after, metrics = whole(state, batch)
    step, state, batch = training_step((2, 4), 48)
    assert state.class_means.mean.sharding.spec == jax.P(None, "model")
    divided, found = step(state, batch)
    for name, expected in metrics.items():
        np.testing.assert_allclose(found[name], expected, rtol=1e-4, err_msg=name)
    np.testing.assert_allclose(
        divided.class_means.total, after.class_means.total, rtol=1e-4, atol=1e-7
    )
    gathered = [size for kind, size in collectives(step) if kind == "all-gather"]
    # The bias of the classifier, and on some versions the best class of each part.
    assert max(gathered) <= max(48, BATCH * 4)
    assert BATCH * 4 < BATCH * 48 / 2


@pytest.mark.long
def test_padded_classes_change_nothing_but_the_width():
    """With the same weights: metrics, class means and gradients are those without."""
    plain, state, batch = training_step((8, 1), 13)
    after, metrics = plain(state, batch)
    step, wide, _ = training_step((8, 1), 13, multiple_of=8)
    assert wide.class_means.mean.shape == (16, 16)
    np.testing.assert_array_equal(wide.class_means.mean[:, 13:], 0)
    np.testing.assert_array_equal(
        wide.class_means.mean[:13, :13], state.class_means.mean
    )

    def widen(narrow, padded):
        """The narrow array's entries, with zeros for the classes that are none."""
        short = [(0, b - a) for a, b in zip(narrow.shape, padded.shape, strict=True)]
        return jnp.pad(narrow, short)

    params = jax.tree.map(widen, state.params, wide.params)
    params = jax.device_put(params, jax.tree.map(lambda p: p.sharding, wide.params))
    moved, found = step(wide.replace(params=params), batch)
    for name, expected in metrics.items():
        np.testing.assert_allclose(found[name], expected, rtol=1e-5, err_msg=name)
    np.testing.assert_allclose(
        moved.class_means.total[:13, :13], after.class_means.total, rtol=1e-5, atol=1e-8
    )
    for ours, theirs in zip(
        jax.tree.leaves(moved.params),
        jax.tree.leaves(jax.tree.map(widen, after.params, wide.params)),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_an_eighth_of_the_class_means_of_imagenet_21k_on_each_of_8_devices():
    mesh, width = sharding.create_mesh((1, 8)), classes.padded_width(21_843, 8)
    means = jax.eval_shape(lambda: ClassMeans.create(width))
    places = sharding.state_shardings(mesh, means, classifier=(), fsdp=True)
    each = math.prod(places.mean.shard_shape(means.mean.shape)) * 4
    assert 1.9e9 < 4 * 21_843**2 <= 8 * each < 1.0005 * 4 * 21_843**2
    with pytest.raises(UserError, match="8 must divide the 21843 classes; model.cl"):
        sharding.check_classes(21_843, mesh)
