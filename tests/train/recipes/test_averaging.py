"""Averages of the weights, by step and by epoch."""

import jax
import pytest

from tests.support.recipes import (
    STEPS_PER_EPOCH,
    assert_trees_close,
    batch,
    distance,
    make,
)


def averaged_after(recipe_, steps):
    """The averages that a run of `steps` leaves, and the weights it passed through."""
    state, step = recipe_.init(jax.random.key(0)), jax.jit(recipe_.step)
    trail = []
    for i in range(steps):
        state, _ = step(state, batch(start=i))
        if (i + 1) % STEPS_PER_EPOCH == 0:
            state = recipe_.end_epoch(state)
        trail.append(state.weights)
    return state.averaged, trail


def mix(decay, average, new):
    return jax.tree.map(lambda a, b: decay * a + (1 - decay) * b, average, new)


@pytest.mark.long
def test_averaging_per_step_with_warmup_includes_batch_norm():
    recipe_, _ = make(
        model="wide_resnet_10_1", averaging__every="step", averaging__decay=0.25
    )
    averaged, trail = averaged_after(recipe_, 4)
    expected = trail[0]
    for n in range(1, 4):
        expected = mix(min(0.25, (1 + n) / (10 + n)), expected, trail[n])
    assert_trees_close(averaged, expected, atol=1e-5)
    assert jax.tree.leaves(averaged.batch_stats)


@pytest.mark.long
def test_averaging_per_epoch_from_an_epoch_on():
    recipe_, _ = make(
        averaging__every="epoch", averaging__decay=0.9, averaging__warmup=False,
        averaging__start_epoch=1,
    )  # fmt: skip
    averaged, trail = averaged_after(recipe_, 11)
    ends = trail[2::STEPS_PER_EPOCH]  # epochs 0, 1, 2; the last is not finished
    assert_trees_close(averaged, mix(0.9, ends[1], ends[2]), atol=1e-6)


@pytest.mark.long
def test_batch_norm_may_be_copied_instead_of_averaged():
    recipe_, _ = make(
        model="wide_resnet_10_1",
        averaging__every="step",
        averaging__batch_norm="copied",
    )
    averaged, trail = averaged_after(recipe_, 3)
    assert_trees_close(averaged.batch_stats, trail[-1].batch_stats, rtol=0)
    assert distance(averaged.params, trail[-1].params) > 1e-3


def test_no_averaging_keeps_no_copy():
    averaged, _ = averaged_after(make()[0], 1)
    assert averaged is None
