"""Architectures, against logits of the published ones with the same weights."""

import json
import zlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax import models
from ikl_jax.models.batch_norm import BatchNorm
from tests.conftest import GOLDEN

RECORD = json.loads((GOLDEN / "wide_resnet.json").read_text())


def drawn(name, shape):
    """The golden data's parameter of that torch name."""
    seed = zlib.crc32((RECORD["salt"] + name).encode())
    value = np.random.default_rng(seed).standard_normal(shape)
    if name.endswith("running_mean"):
        value = 0.1 * value
    elif name.endswith("running_var"):
        value = 1 + 0.1 * np.abs(value)
    elif len(shape) == 4:
        value = value * np.sqrt(2 / np.prod(shape[1:]))
    elif len(shape) == 2:
        value = value / np.sqrt(shape[1])
    elif name.endswith("weight"):
        value = 1 + 0.1 * value
    else:
        value = 0.1 * value
    return value.astype(np.float32)


def torch_layer(path):
    """The torch name of a layer of ours, such as group1_block0/norm1."""
    top = {"stem": "conv1", "norm": "bn1", "classifier": "fc"}
    if path[0] in top:
        return top[path[0]]
    group, block = path[0].removeprefix("group").split("_block")
    inner = {"norm1": "bn1", "norm2": "bn2", "shortcut": "convShortcut"}
    return f"block{group}.layer.{block}.{inner.get(path[1], path[1])}"


TORCH_NAMES = {
    "kernel": "weight", "scale": "weight", "bias": "bias",
    "mean": "running_mean", "var": "running_var",
}  # fmt: skip


def golden_variables(shapes, used):
    def fill(path, leaf):
        names = [key.key for key in path][1:]
        name = f"{torch_layer(names[:-1])}.{TORCH_NAMES[names[-1]]}"
        used.add(name)
        order = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[leaf.ndim]
        back = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}[leaf.ndim]
        torch_shape = tuple(leaf.shape[i] for i in order)
        return jnp.asarray(drawn(name, torch_shape).transpose(back))

    return jax.tree_util.tree_map_with_path(fill, shapes)


@pytest.mark.parametrize("name", ["wide_resnet_10_2", "wide_resnet_34_10"])
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_wide_resnets_equal_the_published_ones(name, mode):
    record = RECORD["models"][name]
    channels, height, width = record["input"]
    seed = zlib.crc32((RECORD["salt"] + name).encode())
    x = np.random.default_rng(seed).random((2, channels, height, width))
    x = jnp.asarray(x.astype(np.float32).transpose(0, 2, 3, 1))
    num_classes = record["parameters"]["fc.bias"][0]
    model = models.create(name, num_classes)
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), x))
    used = set()
    variables = golden_variables(shapes, used)
    assert used == set(record["parameters"])
    assert record["count"] == sum(leaf.size for leaf in jax.tree.leaves(variables))

    expected = np.load(GOLDEN / "wide_resnet.npz")[f"{name}/{mode}"]
    train = mode == "train"
    logits, _ = jax.jit(
        lambda v, x: model.apply(v, x, train=train, mutable=["batch_stats"])
    )(variables, x)
    np.testing.assert_allclose(
        logits, expected, rtol=0, atol=1e-3 * np.abs(expected).max()
    )


def test_training_updates_the_running_statistics():
    model = models.create("wide_resnet_10_1", 3)
    x = jax.random.uniform(jax.random.key(0), (4, 16, 16, 3))
    variables = model.init(jax.random.key(1), x)
    _, updated = model.apply(variables, x, train=True, mutable=["batch_stats"])
    old, new = (jax.tree.leaves(v["batch_stats"]) for v in (variables, updated))
    assert all(np.any(a != b) for a, b in zip(old, new, strict=True))


def torch_batch_norm(x, running_mean, running_var):
    """The output and the new running statistics, in NumPy float64."""
    axes = tuple(range(x.ndim - 1))
    mean, var = x.mean(axes), x.var(axes)
    count = x.size // x.shape[-1]
    moved = (
        0.9 * running_mean + 0.1 * mean,
        0.9 * running_var + 0.1 * var * count / (count - 1),
    )
    return (x - mean) / np.sqrt(var + 1e-5), moved


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_batch_norm_is_torchs_in_each_group(groups):
    x = 2 + 3 * jax.random.normal(jax.random.key(0), (8, 3, 5, 6))
    layer = BatchNorm(groups)
    variables = layer.init(jax.random.key(1), x, train=True)
    out, updated = layer.apply(variables, x, train=True, mutable=["batch_stats"])
    parts = np.split(np.asarray(x, np.float64), groups)
    expected = [torch_batch_norm(part, np.zeros(6), np.ones(6)) for part in parts]
    np.testing.assert_allclose(out, np.concatenate([e[0] for e in expected]), atol=1e-4)
    mean, var = expected[0][1]
    np.testing.assert_allclose(updated["batch_stats"]["mean"], mean, rtol=1e-4)
    np.testing.assert_allclose(updated["batch_stats"]["var"], var, rtol=1e-4)
    evaluated = layer.apply({**variables, **updated}, x, train=False)
    normalised = (np.asarray(x) - mean) / np.sqrt(var + 1e-5)
    np.testing.assert_allclose(evaluated, normalised, atol=1e-4)


@pytest.mark.parametrize("train", [False, True])
def test_batch_norm_equals_flaxs(train):
    x = jax.random.normal(jax.random.key(0), (8, 3, 5, 6))
    flaxs = nn.BatchNorm(use_running_average=not train, epsilon=1e-5)
    variables = jax.tree.map(lambda v: v + 0.3, flaxs.init(jax.random.key(1), x))
    ours = lambda v, x: BatchNorm().apply(v, x, train=train, mutable=["batch_stats"])[0]
    theirs = lambda v, x: flaxs.apply(v, x, mutable=["batch_stats"])[0]
    np.testing.assert_allclose(ours(variables, x), theirs(variables, x), atol=2e-6)
    for g, expected in zip(
        *(
            jax.tree.leaves(
                jax.grad(lambda v, x, f=f: jnp.sin(f(v, x)).sum(), (0, 1))(variables, x)
            )
            for f in (ours, theirs)
        ),
        strict=True,
    ):
        np.testing.assert_allclose(g, expected, atol=1e-4)


@pytest.mark.parametrize("name", ["cnn", "wide_resnet_10_1"])
@pytest.mark.parametrize("shape", [(2, 8, 8, 1), (3, 12, 10, 3)])
def test_bfloat16_computes_with_float32_parameters(name, shape):
    model = models.create(name, 5, dtype=jnp.bfloat16)
    x = jax.random.uniform(jax.random.key(0), shape)
    variables = model.init(jax.random.key(1), x)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    logits = model.apply(variables, x)
    assert logits.shape == (shape[0], 5)
    assert logits.dtype == jnp.float32
    exact = models.create(name, 5).apply(variables, x)
    np.testing.assert_allclose(logits, exact, atol=0.05 * float(jnp.abs(exact).max()))


@pytest.mark.parametrize("name", ["cnn", "wide_resnet_10_1"])
def test_logits_are_not_rounded_to_bfloat16(name):
    model = models.create(name, 5, dtype=jnp.bfloat16)
    x = jax.random.uniform(jax.random.key(0), (4, 8, 8, 1))
    logits = model.apply(model.init(jax.random.key(1), x), x)
    assert np.any(logits != logits.astype(jnp.bfloat16).astype(jnp.float32))


def residual_bytes(model, variables, x):
    """What the forward pass keeps for the gradient to the parameters."""

    def loss(params):
        logits, _ = model.apply(
            {**variables, "params": params}, x, train=True, mutable=["batch_stats"]
        )
        return jnp.sum(logits)

    kept = jax.eval_shape(lambda p: jax.vjp(loss, p)[1], variables["params"])
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(kept))


def test_remat_keeps_less_and_gives_the_same():
    plain = models.create("wide_resnet_10_1", 5)
    recomputed = models.create("wide_resnet_10_1", 5, remat=True)
    x = jax.random.uniform(jax.random.key(0), (4, 12, 12, 3))
    variables = plain.init(jax.random.key(1), x)
    same = recomputed.init(jax.random.key(1), x)
    assert jax.tree.structure(variables) == jax.tree.structure(same)
    sizes = [residual_bytes(model, variables, x) for model in (plain, recomputed)]
    assert sizes[1] < 0.5 * sizes[0]

    def gradient(model):
        def loss(params, x):
            logits, updated = model.apply(
                {**variables, "params": params}, x, train=True, mutable=["batch_stats"]
            )
            return jnp.sum(jnp.sin(logits)), updated

        return jax.jit(jax.grad(loss, (0, 1), has_aux=True))(variables["params"], x)

    pairs = zip(
        *(jax.tree.leaves(gradient(model)) for model in (recomputed, plain)),
        strict=True,
    )
    for ours, expected in pairs:
        size = float(jnp.abs(expected).max())
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-4 * size)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: models.create("wide_resnet_10_"), "did you mean 'wide_resnet_10_2'"),
        (lambda: models.create("resnet18"), "unknown model 'resnet18'.*known: cnn"),
        (lambda: models.create("wide_resnet_12_2"), "depth must be 10, 16, .* got 12"),
        (lambda: models.create("wide_resnet_10_0"), "width must be >= 1, got 0"),
        (lambda: models.create("cnn", 0), "num_classes must be > 0, got 0"),
    ],
)
def test_bad_names(call, message):
    with pytest.raises(ValueError, match=message):
        call()
