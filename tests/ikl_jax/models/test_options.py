"""Options that every architecture takes: dtype, channels, normalisation, remat."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax import models
from ikl_jax.models.layers import channel_shuffle
from tests.ikl_jax.models.shapes import forward, residual_bytes

# One architecture for each kind of block, the smallest one that is listed.
KINDS = [
    "wide_resnet_10_1", "wide_resnet_swish_10_1", "cifar_resnet8",
    "imagenet_resnet18", "cifar_vgg8", "cifar_mobilenetv2", "cifar_shufflev1",
    "cifar_shufflev2", "imagenet_mobilenetv1", "preact_resnet18", "vit_patch4_2_64",
]  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_any_channels_and_bfloat16_with_float32_parameters(name):
    model = models.create(name, 5, dtype=jnp.bfloat16, normalize=None)
    logits, variables = forward(model, channels=2)
    assert (logits.shape, logits.dtype) == ((2, 5), jnp.float32)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    x = jax.ShapeDtypeStruct((2, 16, 16, 2), jnp.float32)
    program = str(jax.make_jaxpr(model.apply)(variables, x))
    convolutions = [line for line in program.split("\n") if "conv_general" in line]
    assert convolutions
    assert all("bf16[" in line for line in convolutions)


@pytest.mark.parametrize("name", KINDS)
def test_input_is_normalised(name):
    model = models.create(name, normalize=((0.4, 0.5, 0.6), (0.2, 0.3, 0.4)))
    x = jax.random.uniform(jax.random.key(0), (2, 4, 4, 3))
    by_hand = (np.asarray(x) - [0.4, 0.5, 0.6]) / [0.2, 0.3, 0.4]
    np.testing.assert_allclose(model.prepared(x), by_hand, rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="normalize must have .* 1 channels.* got 3"):
        forward(model, channels=1)


def test_normalisation_may_be_lists():
    lists, tuples = (
        models.create("cifar_vgg8", normalize=form([form([0.5]), form([0.25])]))
        for form in (list, tuple)
    )
    assert hash(lists) == hash(tuples)
    assert lists == tuples


@pytest.mark.long
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


@pytest.mark.parametrize(
    "name", ["cnn", pytest.param("wide_resnet_10_1", marks=pytest.mark.long)]
)
def test_logits_are_not_rounded_to_bfloat16(name):
    model = models.create(name, 5, dtype=jnp.bfloat16)
    x = jax.random.uniform(jax.random.key(0), (4, 8, 8, 1))
    logits = jax.jit(model.apply)(jax.jit(model.init)(jax.random.key(1), x), x)
    assert np.any(logits != logits.astype(jnp.bfloat16).astype(jnp.float32))


@pytest.mark.parametrize(
    "name",
    [
        "cifar_resnet8",
        "cifar_vgg8",
        "vit_patch4_2_64",
        pytest.param("cifar_mobilenetv2", marks=pytest.mark.long),
        pytest.param("cifar_shufflev2", marks=pytest.mark.long),
    ],
)
def test_remat_recomputes_blocks_and_keeps_names(name):
    plain, recomputed = (models.create(name, 5, remat=remat) for remat in (False, True))
    (_, variables), (_, same) = forward(plain), forward(recomputed)
    assert jax.tree.structure(variables) == jax.tree.structure(same)
    x = jax.ShapeDtypeStruct((64, 16, 16, 3), jnp.float32)
    sizes = [residual_bytes(model, variables, x) for model in (plain, recomputed)]
    assert sizes[1] < 0.6 * sizes[0]


@pytest.mark.slow
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


def test_shuffled_channels():
    x = jnp.arange(6.0)[None]
    assert channel_shuffle(x, 2).tolist() == [[0, 3, 1, 4, 2, 5]]
    assert channel_shuffle(x, 3).tolist() == [[0, 2, 4, 1, 3, 5]]
