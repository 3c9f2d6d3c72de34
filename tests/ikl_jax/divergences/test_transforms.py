"""The losses under `vmap` and `jit`, on sharded batches, and the memory they take."""

import jax
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import ikl_jax
from tests.ikl_jax.divergences.losses import (
    LOSSES,
    every_loss,
    gradients,
    logits,
)


@pytest.mark.parametrize("name", ["kl", "soft_ce", "dkl", "ikl_sample", "kd"])
def test_under_vmap_and_jit(name):
    loss, _ = LOSSES[name]
    n, m = logits()
    np.testing.assert_allclose(jax.vmap(loss)(n, m), loss(n, m), rtol=1e-6)
    np.testing.assert_allclose(jax.jit(loss)(n, m), loss(n, m), rtol=1e-6)
    per_example = jax.vmap(jax.grad(loss, (0, 1)))(n, m)
    for ours, expected in zip(per_example, gradients(loss, n, m), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


@every_loss
def test_a_batch_sharded_over_devices(name):
    loss, _ = LOSSES[name]
    n, m = (x[:6] for x in logits())
    mesh = jax.make_mesh(
        (2,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:2]
    )
    sharding = NamedSharding(mesh, PartitionSpec("data"))
    sharded = [jax.device_put(x, sharding) for x in (n, m)]
    compiled = jax.jit(lambda n, m: gradients(loss, n, m))
    for ours, expected in zip(compiled(*sharded), gradients(loss, n, m), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["dkl", "ikl", "ikl_sample"])
def test_memory_is_linear_in_classes(name):
    n, m = logits(shape=(256, 1000))
    w = jax.nn.softmax(m)
    losses = {
        "dkl": lambda n, m, w: ikl_jax.dkl_loss(n, m),
        "ikl": lambda n, m, w: ikl_jax.ikl_loss(n, m, w),
        "ikl_sample": lambda n, m, w: ikl_jax.ikl_loss(n, m),
    }
    step = jax.value_and_grad(lambda *x: losses[name](*x).mean(), (0, 1))
    compiled = jax.jit(step).lower(n, m, w).compile()
    assert compiled.memory_analysis().temp_size_in_bytes <= 3 * n.nbytes


@pytest.mark.parametrize("name", ["kl", "ikl"])
def test_a_temperature_takes_no_more_memory(name, optimised):
    n, m = logits(shape=(256, 1000))
    w = jax.nn.softmax(m)
    losses = {
        "kl": lambda n, m, w, t: ikl_jax.kl_divergence(n, m, temperature=t),
        "ikl": lambda n, m, w, t: ikl_jax.ikl_loss(n, m, w, temperature=t),
    }

    def arrays(temperature):
        loss = lambda *x: losses[name](*x, temperature).mean()
        step = jax.jit(jax.value_and_grad(loss, (0, 1)))
        analysis = step.lower(n, m, w).compile().memory_analysis()
        return analysis.temp_size_in_bytes / n.nbytes

    assert arrays(3.0) <= max(arrays(1.0), 1.0) + 0.1
    assert arrays(3.0) < 2.1
