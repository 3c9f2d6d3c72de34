"""The attack in a training step: objectives, starts, ramps, statistics."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.conftest import case_rows
from tests.support.recipes import (
    STEPS_PER_EPOCH,
    after,
    assert_trees_close,
    batch,
    distance,
    make,
)
from train.recipes import attack, recipe
from train.recipes.losses import Target
from train.recipes.state import Weights


@pytest.mark.long
def test_the_attack_takes_one_step_more_in_each_share_of_the_epochs(optimised):
    growing, one, two = (
        make(epochs=4, attack__first_steps=first, attack__steps=steps)[0]
        for first, steps in ((1, 2), (0, 1), (0, 2))
    )
    state = growing.init(jax.random.key(0))
    for epoch, expected in ((0, one), (1, one), (2, two), (3, two)):
        at = state.replace(step=jnp.asarray(epoch * STEPS_PER_EPOCH, jnp.int32))
        ours = jax.jit(growing.step)(at, batch())[0].params
        assert_trees_close(
            ours, jax.jit(expected.step)(at, batch())[0].params, atol=1e-6
        )
    assert distance(ours, jax.jit(one.step)(at, batch())[0].params) > 1e-3


class LinearModel:
    """Logits that are linear in the pixels."""

    def apply(self, variables, x, *, train):
        return x.reshape(len(x), -1) @ variables["params"]


def test_the_attack_moves_away_from_the_natural_prediction():
    numbers = dict(loss="kl", steps=1, start_scale=0.01)
    task = make(**{f"attack__{name}": value for name, value in numbers.items()})[1]
    task = dataclasses.replace(task, model=LinearModel())
    matrix = jax.random.normal(jax.random.key(0), (12 * 12, 4))
    keys = jax.random.split(jax.random.key(1), 5)
    x, labels = jnp.full((5, 12, 12, 1), 0.5), jnp.arange(5) % 4
    start, _ = attack.STARTS["gaussian"](task.config.attack, x, keys)
    x_adv = attack.create(task)(
        Weights(matrix, {}), x, lambda logits: Target(logits, labels), keys,
        jnp.float32(0.1), jnp.int32(0),
    )  # fmt: skip
    of = lambda x: jax.nn.softmax(x.reshape(len(x), -1) @ matrix)
    slope = ((of(start) - of(x)) @ matrix.T).reshape(x.shape)
    np.testing.assert_allclose(x_adv, start + 0.05 * jnp.sign(slope), atol=1e-6)


def test_every_step_draws_its_own_random_numbers():
    state = make()[0].init(jax.random.key(0))
    keys = [state.key, *(state.replace(step=step).step_key() for step in range(3))]
    drawn = {float(jax.random.uniform(key)) for key in keys}
    assert len(drawn) == 4


def test_the_ramp_reaches_epsilon():
    shares = [float(recipe.ramp(jnp.asarray(epoch), 4)) for epoch in range(6)]
    np.testing.assert_allclose(shares, [0.25, 0.5, 0.75, 1, 1, 1], rtol=1e-6)
    assert recipe.ramp(jnp.asarray(0), 0) == 1
    numbers = dict(attack__epsilon=0.4, attack__relative_step_size=0.25)
    ramped, _ = make(epochs=8, attack__epsilon_ramp=0.5, **numbers)
    start = ramped.init(jax.random.key(0))
    for epoch, epsilon in ((0, 0.1), (1, 0.2), (5, 0.4)):
        state = start.replace(step=jnp.int32(epoch * STEPS_PER_EPOCH))
        _, metrics = jax.jit(ramped.step)(state, batch())
        np.testing.assert_allclose(metrics["epsilon"], epsilon, rtol=1e-6)


@pytest.mark.long
def test_which_passes_update_the_running_statistics():
    stats = {
        updates: after(
            make(model="wide_resnet_10_1", batch_norm__updates=updates)[0]
        )[0].batch_stats
        for updates in (
            ("adversarial", "natural"), ("natural", "adversarial"), ("natural",), (),
        )
    }  # fmt: skip
    start = make(model="wide_resnet_10_1")[0].init(jax.random.key(0)).batch_stats
    assert distance(stats[()], start) == 0.0
    seen = list(stats.values())
    for i in range(len(seen)):
        for j in range(i):
            assert distance(seen[i], seen[j]) > 0.0


@pytest.mark.long
def test_statistics_of_the_attack_are_a_choice_and_never_kept():
    states = [
        after(
            make(
                model="wide_resnet_10_1",
                batch_norm__attack=mode,
                batch_norm__updates=(),
            )[0],
            2,
        )[0]
        for mode in ("running", "batch")
    ]
    assert distance(states[0].batch_stats, states[1].batch_stats) == 0.0
    assert distance(states[0].params, states[1].params) > 1e-4


OBJECTIVES = [
    ("cross_entropy", "natural"),
    *itertools.product(
        ("cross_entropy", "kl", "dkl", "ikl", "gkl"), ("gaussian", "uniform")
    ),
]


QUICK = [("cross_entropy", "natural"), ("kl", "gaussian"), ("gkl", "uniform")]


@pytest.mark.parametrize(("loss", "start"), case_rows(OBJECTIVES, quick=QUICK))
def test_every_attack_objective_and_start(loss, start):
    scores = {}
    for steps in (0, 5):
        changed = dict(attack__loss=loss, attack__start=start, attack__steps=steps)
        _, metrics = after(make(loss__name="kl", attack__epsilon=0.1, **changed)[0])
        scores[steps] = float(metrics["divergence"])
    assert scores[5] > max(1.5 * scores[0], 1e-4)


def test_l2_attacks_train_too():
    _, metrics = after(make(attack__norm="l2", attack__epsilon=0.5)[0], 2)
    assert np.isfinite(metrics["loss"])
