"""Weights from torch: published logits, conversion and back, and bad input."""

import re

import jax
import numpy as np
import pytest

from ikl_jax import models
from tests.conftest import GOLDEN
from tests.support.references.torch_reference import (
    MODELS,
    OTHERS,
    RECIPES,
    drawn,
    generator,
    images,
    logits,
    state_dict,
)

# As the authors normalise for CIFAR-100; the other network has the default.
OPTIONS = {
    "wide_resnet_swish_28_10": dict(
        normalize=((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762))
    )
}
# One of each kind; the others differ in depth and width, and take minutes.
QUICK = {
    "wide_resnet_10_2", "wide_resnet_swish_10_2", "cifar_resnet8",
    "cifar_wrn_16_1", "cifar_vgg8", "cifar_resnet18",
    "imagenet_mobilenetv1", "vit_patch4_2_128",
}  # fmt: skip
LONG = {
    "cifar_shufflev2", "imagenet_resnet50", "preact_resnet18_bn", "vit_small_patch2_32"
}  # fmt: skip


def marks(name):
    if name in QUICK:
        return ()
    return pytest.mark.long if name in LONG else pytest.mark.slow


@pytest.mark.parametrize("name", [pytest.param(n, marks=marks(n)) for n in MODELS])
def test_logits_equal_the_published_networks(name):
    arrays = state_dict(name)
    variables = models.from_torch(name, arrays)
    num_classes = len(variables["params"]["classifier"]["bias"])
    model = models.create(name, num_classes, **OPTIONS.get(name, {}))
    golden = logits()
    modes = [mode for mode in ("eval", "train") if f"{name}/{mode}" in golden]
    in_evaluation = name.startswith(("imagenet", "vit"))
    assert modes == ["eval"] if in_evaluation else ["eval", "train"]
    for mode in modes:
        train = mode == "train"
        ours, _ = jax.jit(
            lambda v, x: model.apply(v, x, train=train, mutable=["batch_stats"])
        )(variables, images(name))
        expected = golden[f"{name}/{mode}"]
        # So tight that an approximate GELU is noticed.
        tolerance = 1e-5 if name in OTHERS else 1e-3
        np.testing.assert_allclose(
            ours, expected, rtol=0, atol=tolerance * np.abs(expected).max()
        )


def zeros(name):
    """A state dict that takes no memory."""
    return {
        parameter: np.broadcast_to(np.float32(0), shape)
        for parameter, shape in MODELS[name]["parameters"].items()
    }


# Large networks that resemble smaller ones are left to long tests.
EACH = [
    pytest.param(n, marks=() if n in {*RECIPES, *QUICK, *LONG} else pytest.mark.long)
    for n in MODELS
]


@pytest.mark.parametrize("name", EACH)
def test_names_and_counts_are_the_published_ones(name):
    variables = models.from_torch(name, zeros(name))
    count = sum(leaf.size for leaf in jax.tree.leaves(variables))
    assert count == MODELS[name]["count"]


def resnext_shapes():
    model = models.create("imagenet_resnext101_32x4d", 1000)
    images = jax.ShapeDtypeStruct((1, 64, 64, 3), np.float32)
    return model, jax.eval_shape(model.init, jax.random.key(0), images)


def test_resnext_has_torchvisions_parameters():
    _, shapes = resnext_shapes()
    count = sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))
    assert count == 44_177_704
    grouped = shapes["params"]["group4_block2"]["conv2"]["kernel"]
    assert grouped.shape == (3, 3, 32, 1024)


@pytest.mark.slow
def test_resnext_has_torchs_logits():
    """The reference: the same layers in torch, with weights drawn by their names."""
    name = "imagenet_resnext101_32x4d"
    model, shapes = resnext_shapes()
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), shapes)
    arrays = {n: drawn(n, a.shape) for n, a in models.to_torch(name, zeros).items()}
    x = generator(name).random((2, 3, 64, 64)).astype(np.float32)
    variables = models.from_torch(name, arrays)
    logits = jax.jit(model.apply)(variables, x.transpose(0, 2, 3, 1))
    expected = np.load(GOLDEN / "resnext101_32x4d.npz")["eval"]
    atol = 1e-4 * np.abs(expected).max()
    np.testing.assert_allclose(logits, expected, rtol=0, atol=atol)


def test_all_published_networks_are_there():
    assert (len(RECIPES), len(OTHERS)) == (32, 9)


@pytest.mark.parametrize("name", EACH)
def test_there_and_back_keeps_every_entry_in_its_place(name):
    arrays = {
        parameter: np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
        for parameter, shape in MODELS[name]["parameters"].items()
    }
    back = models.to_torch(name, models.from_torch(name, arrays))
    assert back.keys() == arrays.keys()
    for parameter, array in arrays.items():
        np.testing.assert_array_equal(back[parameter], array)


@pytest.mark.parametrize(
    "name", ["cifar_vgg8", "cifar_shufflev1", "wide_resnet_swish_10_2"]
)
def test_there_and_back_is_exact(name):
    arrays = state_dict(name)
    variables = models.from_torch(name, arrays)
    back = models.to_torch(name, variables)
    assert back.keys() == arrays.keys()
    for parameter, array in arrays.items():
        np.testing.assert_array_equal(back[parameter], array)
    again = models.from_torch(name, back)
    assert jax.tree.structure(again) == jax.tree.structure(variables)
    jax.tree.map(np.testing.assert_array_equal, again, variables)


def test_our_own_weights_to_torch_and_back():
    model = models.create("cifar_resnet8", 7)
    x = np.zeros((1, 16, 16, 2), np.float32)  # two channels, seven classes
    shapes = jax.eval_shape(model.init, jax.random.key(0), x)
    rng = np.random.default_rng(0)
    variables = jax.tree.map(lambda leaf: rng.random(leaf.shape, np.float32), shapes)
    arrays = models.to_torch(model, variables)
    assert arrays["conv1.weight"].shape == (16, 2, 3, 3)
    for named in (model, "cifar_resnet8"):
        again = models.from_torch(named, arrays)
        jax.tree.map(np.testing.assert_array_equal, again, variables)


def test_half_precision_and_counters_are_read():
    arrays = state_dict("cifar_resnet8")
    half = {name: array.astype(np.float16) for name, array in arrays.items()}
    half["bn1.num_batches_tracked"] = np.asarray(7)
    variables = models.from_torch("cifar_resnet8", half)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {np.dtype("float32")}
    bias = variables["params"]["classifier"]["bias"]
    np.testing.assert_array_equal(bias, half["fc.bias"].astype(np.float32))


def changed(name="cifar_resnet8", **changes):
    """Zeros, with entries replaced, or left out where the change is None."""
    arrays = zeros(name) | {n.replace("__", "."): a for n, a in changes.items()}
    return {name: array for name, array in arrays.items() if array is not None}


def test_all_that_does_not_fit_is_named():
    arrays = changed(
        conv1__weight=np.zeros((16, 3, 5, 5), np.float32),
        bn1__bias=None,
        layer1__0__bn2__running_var=None,
        head__bias=np.zeros(3, np.float32),
        fc__weight=np.zeros((100, 64), np.int32),
    )
    expected = (
        "state_dict does not fit cifar_resnet8; "
        "missing: bn1.bias, layer1.0.bn2.running_var; "
        "unexpected: head.bias; "
        "wrongly shaped: conv1.weight (16, 3, 5, 5) instead of (16, 3, 3, 3); "
        "not floating point: fc.weight (int32)"
    )
    with pytest.raises(ValueError, match=re.escape(expected)):
        models.from_torch("cifar_resnet8", arrays)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: models.from_torch("cifar_resnet8", zeros("cifar_vgg8")), "does not fit cifar_resnet8; missing: .*fc.bias.*; unexpected: .*block0.0.weight"),
        (lambda: models.from_torch("cifar_resnet8", zeros("cifar_resnet14")), "unexpected: .*layer1.1.conv1.weight"),
        (lambda: models.from_torch("cifar_resnet8", {}), "missing: .*conv1.weight"),
        (lambda: models.from_torch("cifar_resnet9", {}), "did you mean 'cifar_resnet"),
        (lambda: models.from_torch("cnn", {}), "must have published torch weights, got 'cnn'"),
        (lambda: models.from_torch(models.create("cifar_resnet8", 7), zeros("cifar_resnet8")), r"ResNet; wrongly shaped: .*fc.bias \(100,\) instead of \(7,\)"),
        (lambda: models.from_torch("preact_resnet18", zeros("preact_resnet18_bn")), "preact_resnet18; unexpected: bn.bias, bn.running_mean, bn.running_var, bn.weight"),
        (lambda: models.from_torch("preact_resnet18_bn", zeros("preact_resnet18")), "preact_resnet18_bn; missing: bn.bias"),
        (lambda: models.from_torch("cifar_resnet8", zeros("cifar_resnet8"), image_size=32), "image_size must be None for ResNet, whose weights fit images of any size, got 32"),
        (lambda: models.to_torch("cifar_resnet8", {"params": {"stem": {"gain": np.zeros(3)}}}), "got params/stem/gain"),
    ],
)  # fmt: skip
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
