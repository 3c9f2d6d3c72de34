"""BatchNorm: as torch has it, in groups, and its running statistics."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax import models
from ikl_jax.models.batch_norm import BatchNorm


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


def test_statistics_of_bfloat16_inputs_are_not_rounded():
    x = jax.random.normal(jax.random.key(0), (64, 4, 4, 3)) + 5.0
    x = x.astype(jnp.bfloat16)
    layer = BatchNorm(momentum=1.0, dtype=jnp.bfloat16)
    variables = layer.init(jax.random.key(1), x, train=True)
    _, updated = layer.apply(variables, x, train=True, mutable="batch_stats")
    rows = np.asarray(x, np.float64).reshape(-1, 3)
    statistics = updated["batch_stats"]
    # bfloat16 keeps 8 bits: rounded to it, the mean of 5 is wrong by up to 0.016.
    np.testing.assert_allclose(statistics["mean"], rows.mean(0), rtol=1e-5)
    np.testing.assert_allclose(statistics["var"], rows.var(0, ddof=1), rtol=1e-4)
