"""The step's memory on the device beside what `--plan` says of it."""

import jax
import pytest

from configs import digits_ikl_at
from train.devices import sharding
from train.experiment.run import build
from train.planning import plan
from train.training import program

SLACK = 1.2
SCRATCH = 2**29  # bytes that the compiler tries convolutions with, at most


@pytest.fixture(scope="module")
def config():
    return digits_ikl_at.get_config()


@pytest.fixture(scope="module")
def run(config):
    return build(config)


def bytes_on(device, tree):
    return sum(
        shard.data.nbytes
        for leaf in jax.tree.leaves(tree)
        for shard in leaf.addressable_shards
        if shard.device == device
    )


def test_donation_and_memory_as_planned(config, run):
    planned = plan.plan(config)
    device = jax.local_devices()[0]
    state = run.initial_state()
    batch = {**sharding.put(next(run.training_batches()), run.mesh)}
    assert bytes_on(device, state) == planned.state
    step = program.compiled_step(run)
    before = jax.tree.leaves(state)
    new, metrics = jax.block_until_ready(step(state, batch))
    assert all(leaf.is_deleted() for leaf in before)
    assert bytes_on(device, new) == planned.state
    assert float(metrics["loss"]) > 0
    compiled = program.jitted_step(run).lower(run.abstract_state, batch).compile()
    used = compiled.memory_analysis()
    # The new state takes the place of the old one, but for what is too small to matter.
    assert used.alias_size_in_bytes >= 0.99 * planned.state
    assert planned.state < planned.peak
    if stats := device.memory_stats():  # a CPU has none
        # Of all programs of this process so far, of which the step is the largest.
        assert stats["peak_bytes_in_use"] <= SLACK * planned.peak + SCRATCH
