"""Schedules and weight decay, as numbers."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from configs import base
from train import optim


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


def test_the_authors_cosine_is_past_its_peak_at_once():
    values = rates(schedule="cosine_per_epoch")
    expected = [0.1 * (1 + math.cos(math.pi * e / 11)) for e in range(1, 11)]
    np.testing.assert_allclose(values, np.repeat(expected, 4), rtol=1e-5)


def test_step_decays_after_milestones():
    values = rates(schedule="step", milestones=(0.5, 0.8))
    np.testing.assert_allclose(
        values, np.repeat([0.2, 0.02, 0.002], [20, 12, 8]), rtol=1e-5
    )


def test_one_cycle_peaks_at_its_warmup():
    values = rates(schedule="one_cycle", warmup=0.25)
    assert values.argmax() == 10
    np.testing.assert_allclose(values.max(), 0.2, rtol=1e-5)


def test_milestones_that_are_close_both_count():
    values = rates(epochs=3, schedule="step", milestones=(0.5, 0.75))
    np.testing.assert_allclose(
        values, np.repeat([0.2, 0.02, 0.002], [6, 3, 3]), rtol=1e-5
    )


def test_one_cycle_per_epoch_is_constant_within_each():
    values = rates(schedule="one_cycle_per_epoch", warmup=0.25).reshape(10, 4)
    np.testing.assert_array_equal(values, values[:, :1].repeat(4, 1))
    assert len(set(values[:, 0])) == 10


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
