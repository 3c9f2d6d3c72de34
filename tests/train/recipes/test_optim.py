"""Schedules and weight decay, as numbers."""

import math

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs import base
from train.recipes import optim


def config(**changed):
    optimizer = base.get_config().optimizer
    optimizer.update(changed)
    return optimizer


def rates(epochs=10, steps_per_epoch=4, **changed):
    schedule = optim.schedule(
        config(learning_rate=0.2, **changed),
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
    )
    return np.array([float(schedule(i)) for i in range(epochs * steps_per_epoch)])


def test_cosine_goes_to_zero_step_by_step():
    values = rates(schedule="cosine")
    expected = [0.1 * (1 + math.cos(math.pi * i / 40)) for i in range(40)]
    np.testing.assert_allclose(values, expected, rtol=1e-4)


def test_cosine_with_warmup():
    values = rates(schedule="cosine", warmup=0.25)
    np.testing.assert_allclose(values[:11], 0.02 * np.arange(11), atol=1e-6)
    assert (np.diff(values[10:]) < 0).all()


@pytest.mark.parametrize("warmup", [0.0, 0.25, 1.0])
def test_the_cosine_is_a_line_joined_to_half_a_cosine_to_the_last_bit(warmup):
    steps = round(40 * warmup)
    joined = optax.join_schedules(
        [
            optax.linear_schedule(0.0, 0.2, steps),
            optax.cosine_decay_schedule(0.2, max(40 - steps, 1)),
        ],
        [steps],
    )
    expected = [float(joined(i)) for i in range(40)]
    np.testing.assert_array_equal(rates(schedule="cosine", warmup=warmup), expected)


@pytest.mark.parametrize("warmup", [0.0, 0.25])
def test_fixmatchs_cosine_ends_at_a_fifth(warmup):
    values = rates(schedule="cosine_7_16", warmup=warmup)
    first = round(40 * warmup)
    rising = [0.2 * i / 10 for i in range(first)]
    falling = [
        0.2 * math.cos(7 * math.pi / 16 * (i - first) / (40 - first))
        for i in range(first, 40)
    ]
    np.testing.assert_allclose(values, rising + falling, rtol=1e-5, atol=1e-8)
    assert values.max() == pytest.approx(0.2)


def test_the_authors_cosine_is_past_its_peak_at_once():
    values = rates(schedule="cosine_per_epoch")
    expected = [0.1 * (1 + math.cos(math.pi * e / 11)) for e in range(1, 11)]
    np.testing.assert_allclose(values, np.repeat(expected, 4), rtol=1e-5)


def test_step_decays_after_milestones():
    values = rates(schedule="step", milestones=(0.5, 0.8))
    np.testing.assert_allclose(
        values, np.repeat([0.2, 0.02, 0.002], [20, 12, 8]), rtol=1e-5
    )


# What torch 2.14's OneCycleLR(max_lr=0.2, pct_start=0.25, total_steps=12) gives.
TORCHS_RATES = [
    0.008, 0.104, 0.2, 0.1939693, 0.1766045, 0.1500002, 0.1173651, 0.08263565, 0.0500006,
    0.02339626, 0.006031514, 8e-07,
]  # fmt: skip
TORCHS_MOMENTA = [
    0.95, 0.9, 0.85, 0.8530154, 0.8616978, 0.875, 0.8913176, 0.9086824, 0.925, 0.9383022,
    0.9469846, 0.95,
]  # fmt: skip


def test_the_one_cycle_is_torchs():
    values = rates(epochs=3, schedule="one_cycle", warmup=0.25)
    np.testing.assert_allclose(values, TORCHS_RATES, rtol=1e-5, atol=1e-7)
    values = rates(epochs=12, schedule="one_cycle_per_epoch", warmup=0.25)
    expected = np.repeat(TORCHS_RATES, 4)
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-7)
    assert rates(schedule="one_cycle").argmax() == 11  # 0.3 of 40 steps


@pytest.mark.parametrize(
    ("schedule", "held"), [("one_cycle", 1), ("one_cycle_per_epoch", 2)]
)
def test_momentum_moves_with_the_one_cycle(schedule, held):
    tx = optim.create(
        config(
            schedule=schedule, learning_rate=0.2, warmup=0.25, weight_decay=0.0,
            cycle_momentum=True, nesterov=True,
        ),
        epochs=6 * held, steps_per_epoch=2,
    )  # fmt: skip
    state, velocity = tx.init({"kernel": jnp.zeros(1)}), 0.0
    for rate, momentum in zip(TORCHS_RATES, TORCHS_MOMENTA, strict=True):
        for _ in range(held):
            updates, state = tx.update(
                {"kernel": jnp.ones(1)}, state, {"kernel": jnp.zeros(1)}
            )
            velocity = momentum * velocity + 1.0
            expected = -rate * (1.0 + momentum * velocity)
            np.testing.assert_allclose(
                updates["kernel"], expected, rtol=1e-5, atol=1e-7
            )


def test_the_cosine_from_its_peak_in_each_epoch():
    values = rates(schedule="cosine_from_peak_per_epoch")
    expected = [0.1 * (1 + math.cos(math.pi * e / 10)) for e in range(10)]
    np.testing.assert_allclose(values, np.repeat(expected, 4), rtol=1e-5)


def test_milestones_that_are_close_both_count():
    values = rates(epochs=3, schedule="step", milestones=(0.5, 0.75))
    np.testing.assert_allclose(
        values, np.repeat([0.2, 0.02, 0.002], [6, 3, 3]), rtol=1e-5
    )


def test_constant():
    np.testing.assert_allclose(rates(schedule="constant"), 0.2)


@pytest.mark.parametrize("decay_vectors", [False, True])
@pytest.mark.parametrize("nesterov", [False, True])
def test_the_optimiser_is_torchs_sgd(decay_vectors, nesterov):
    numbers = dict(learning_rate=0.2, momentum=0.9, weight_decay=0.1)
    tx = optim.create(
        config(schedule="constant", decay_vectors=decay_vectors, nesterov=nesterov, **numbers),
        epochs=1, steps_per_epoch=3,
    )  # fmt: skip
    params = {"kernel": jnp.full((2, 2), 3.0), "bias": jnp.full(2, 3.0)}
    state = tx.init(params)
    for name, decay in (("kernel", 0.1), ("bias", 0.1 if decay_vectors else 0.0)):
        p, v = 3.0, 0.0
        moved, moved_state = params, state
        for _ in range(3):
            grads = {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}
            updates, moved_state = tx.update(grads, moved_state, moved)
            moved = {k: moved[k] + updates[k] for k in moved}
            g = 1.0 + decay * p
            v = 0.9 * v + g
            p -= 0.2 * (g + 0.9 * v if nesterov else v)
        np.testing.assert_allclose(moved[name], p, rtol=1e-5)


def test_the_authors_cosine_after_a_warmup_in_epochs():
    """ImageNet-LT's, from e = 0: lr (e + 1) / 10, then (e - 9) / (E - 9) of a turn."""
    values = rates(epochs=90, schedule="cosine_per_epoch", warmup=10 / 90)
    expected = [
        0.2 * (e + 1) / 10
        if e < 10
        else 0.1 * (1 + math.cos(math.pi * (e - 9) / (90 - 9)))
        for e in range(90)
    ]
    np.testing.assert_allclose(values, np.repeat(expected, 4), rtol=1e-4)
