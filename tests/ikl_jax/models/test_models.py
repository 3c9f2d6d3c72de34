"""Architectures and their options; the published logits are in test_torch_weights."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax import models
from ikl_jax.models import __main__ as listing
from ikl_jax.models.batch_norm import BatchNorm
from ikl_jax.models.layers import channel_shuffle
from ikl_jax.models.registry import FAMILIES

# One of each kind of block, of those that are listed, and small where there is a choice.
KINDS = [
    "wide_resnet_10_1", "wide_resnet_swish_10_1", "cifar_resnet8",
    "imagenet_resnet18", "cifar_vgg8", "cifar_mobilenetv2", "cifar_shufflev1",
    "cifar_shufflev2", "imagenet_mobilenetv1",
]  # fmt: skip


def forward(model, size=16, channels=3):
    """Shapes and dtypes of the logits and of the variables, without computing."""
    x = jax.ShapeDtypeStruct((2, size, size, channels), jnp.float32)
    return jax.eval_shape(lambda x: model.init_with_output(jax.random.key(0), x), x)


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


@pytest.mark.parametrize(
    "name", ["cifar_resnet8", "cifar_vgg8", "cifar_mobilenetv2", "cifar_shufflev2"]
)
def test_remat_recomputes_blocks_and_keeps_names(name):
    plain, recomputed = (models.create(name, 5, remat=remat) for remat in (False, True))
    (_, variables), (_, same) = forward(plain), forward(recomputed)
    assert jax.tree.structure(variables) == jax.tree.structure(same)
    x = jax.ShapeDtypeStruct((64, 16, 16, 3), jnp.float32)
    sizes = [residual_bytes(model, variables, x) for model in (plain, recomputed)]
    assert sizes[1] < 0.6 * sizes[0]


def test_groups_of_the_batch_are_normalised_by_themselves():
    model = models.create("cifar_resnet8", 5)
    x = jax.random.uniform(jax.random.key(0), (4, 16, 16, 3))
    shapes = jax.eval_shape(model.init, jax.random.key(1), x)
    rng = np.random.default_rng(0)
    variables = jax.tree.map(lambda leaf: rng.random(leaf.shape, np.float32), shapes)
    run = jax.jit(
        lambda model, x: model.apply(variables, x, train=True, mutable="batch_stats"),
        static_argnums=0,
    )
    logits, updated = run(model.clone(bn_groups=2), x)
    (first, expected), (second, _) = run(model, x[:2]), run(model, x[2:])
    np.testing.assert_allclose(logits, jnp.concatenate([first, second]), atol=1e-4)
    for ours, theirs in zip(*map(jax.tree.leaves, (updated, expected)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_running_statistics_move_by_the_momentum():
    model = models.create("wide_resnet_10_1", 5)
    x = jax.random.uniform(jax.random.key(0), (4, 8, 8, 3))
    variables = jax.jit(model.init)(jax.random.key(1), x)
    run = jax.jit(
        lambda model: model.apply(variables, x, train=True, mutable="batch_stats")[1],
        static_argnums=0,
    )
    before = jax.tree.leaves(variables["batch_stats"])
    moved, tenth = (
        jax.tree.leaves(run(model.clone(bn_momentum=momentum)))
        for momentum in (0.1, 0.01)
    )
    assert len(before) == 2 * 7
    for old, ours, theirs in zip(before, moved, tenth, strict=True):
        assert np.abs(ours - old).max() > 0
        np.testing.assert_allclose(
            theirs - old, (ours - old) / 10, rtol=1e-3, atol=1e-6
        )


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


def test_shuffled_channels():
    x = jnp.arange(6.0)[None]
    assert channel_shuffle(x, 2).tolist() == [[0, 3, 1, 4, 2, 5]]
    assert channel_shuffle(x, 3).tolist() == [[0, 2, 4, 1, 3, 5]]


def test_every_listed_name_can_be_made():
    names = [name for family in FAMILIES for name in family.examples]
    assert len(names) == len(set(names)) == 37
    for name in names:
        assert models.create(name, 3).num_classes == 3


def test_the_listing(capsys, monkeypatch):
    shown = {"cifar_vgg8", "imagenet_resnet18"}
    families = [family for family in FAMILIES if shown & set(family.examples)]
    monkeypatch.setattr(listing, "FAMILIES", families)
    listing.main()
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["cifar_vgg8", "3,965,028", "32", "x", "32", "x", "3", "100"] in lines
    # As torchvision's documentation counts it.
    assert [
        "imagenet_resnet18",
        "11,689,512",
        "224",
        "x",
        "224",
        "x",
        "3",
        "1,000",
    ] in lines


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

    def kept(variables, x):
        def loss(params):
            logits, _ = model.apply(
                {**variables, "params": params}, x, train=True, mutable=["batch_stats"]
            )
            return jnp.sum(logits)

        return jax.vjp(loss, variables["params"])[1]

    leaves = jax.tree.leaves(jax.eval_shape(kept, variables, x))
    return sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)


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


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: models.create("wide_resnet_10_"), "did you mean 'wide_resnet_10_2'"),
        (
            lambda: models.create("resnet18"),
            "unknown model 'resnet18'; did you mean '.*_resnet18'.*known: cifar",
        ),
        (lambda: models.create("wide_resnet_12_2"), "depth must be 10, 16, .* got 12"),
        (lambda: models.create("wide_resnet_10_0"), "width must be >= 1, got 0"),
        (lambda: models.create("cnn", 0), "num_classes must be > 0, got 0"),
        (lambda: models.create("cifar_resnet10"), "did you mean 'cifar_resnet"),
        (lambda: models.create("cifar_wrn_16_0"), "width must be >= 1, got 0"),
        (
            lambda: models.create("cifar_vgg8", normalize=((0.5,), (0.1, 0.2))),
            "normalize must be .mean, deviation. with a number a channel each, got",
        ),
        (
            lambda: models.create("cifar_vgg8", normalize=((0.5,), (0.0,))),
            "normalize's deviations must be > 0, got .0.0,.",
        ),
        (
            lambda: forward(models.create("wide_resnet_swish_10_1"), 16, 1),
            "normalize must have .* 1 channels, or be None, got 3 of each",
        ),
        (
            lambda: forward(models.create("cifar_vgg8"), 7),
            "VGG needs images of 8 x 8 or more, got .7, 7.",
        ),
    ],
)
def test_bad_names(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_cnns_of_other_widths():
    assert models.create("cnn_16", 7) == models.create("cnn", 7)
    narrow = models.create("cnn_1", 7)
    assert (narrow.features, narrow.hidden) == ((1, 2), 6)
    with pytest.raises(ValueError, match="width must be > 0, got 0"):
        models.create("cnn_0")
