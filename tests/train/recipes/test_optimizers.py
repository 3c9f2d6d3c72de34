"""Optimisers by name: Optax's updates, weight decay, clipping, and resuming."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from rich.console import Console

from configs import base, digits_ikl_at
from tests.conftest import GOLDEN
from tests.support.commands import metrics_of
from train.base.errors import UserError
from train.experiment import settings, validation
from train.recipes import optim
from train.recipes.optim.optimizers import OPTIMIZERS
from train.training import loop

PARAMS = {"kernel": jnp.arange(1.0, 7.0).reshape(2, 3), "bias": jnp.full(3, 2.0)}


def section(**changed):
    optimizer = base.get_config().optimizer
    optimizer.update(
        {"schedule": "constant", "learning_rate": 0.1, "weight_decay": 0.0, **changed}
    )
    return optimizer


def created(**changed):
    return optim.create(section(**changed), epochs=1, steps_per_epoch=4)


def gradients(step):
    keys = jax.random.split(jax.random.key(step), 2)
    return {
        name: jax.random.normal(key, leaf.shape)
        for key, (name, leaf) in zip(keys, PARAMS.items(), strict=True)
    }


def moved(tx, steps=3):
    """The parameters after steps of an optimiser along fixed gradients."""
    params, state = PARAMS, tx.init(PARAMS)
    for step in range(steps):
        updates, state = tx.update(gradients(step), state, params)
        params = optax.apply_updates(params, updates)
    return params


def assert_same(ours, expected):
    for name in PARAMS:
        np.testing.assert_allclose(ours[name], expected[name], rtol=1e-6, err_msg=name)


MASK = {"kernel": True, "bias": False}
# What Optax's own functions make of the same numbers.
OPTAXS = {
    "adabelief": optax.adabelief(0.1),
    "adadelta": optax.adadelta(0.1),
    "adagrad": optax.adagrad(0.1),
    "adamax": optax.adamaxw(0.1, weight_decay=0.2, mask=MASK),
    "adamw": optax.adamw(0.1, weight_decay=0.2, mask=MASK),
    "adan": optax.adan(0.1, weight_decay=0.2, mask=MASK),
    "amsgrad": optax.amsgrad(0.1),
    "lamb": optax.lamb(0.1, weight_decay=0.2, mask=MASK),
    "lars": optax.lars(0.1, weight_decay=0.2, weight_decay_mask=MASK),
    "lion": optax.lion(0.1, weight_decay=0.2, mask=MASK),
    "nadamw": optax.nadamw(0.1, weight_decay=0.2, mask=MASK),
    "novograd": optax.novograd(0.1),
    "radam": optax.radam(0.1),
    "rmsprop": optax.rmsprop(0.1),
    "sgd": optax.sgd(0.1, momentum=0.9),
    "yogi": optax.yogi(0.1),
}
WITHOUT_DECAY = {
    "adabelief", "adadelta", "adagrad", "amsgrad", "novograd", "radam", "rmsprop",
    "sgd", "yogi",
}  # fmt: skip
# Composed here, because Optax's own take other arguments; see `test_others`.
OTHERS = {"adafactor", "signum", "sm3"}


def test_the_two_tables_are_complete():
    assert {*OPTAXS} | OTHERS == {*OPTIMIZERS}


@pytest.mark.parametrize("name", sorted(OPTAXS))
def test_updates_are_optaxs(name):
    decay = 0.0 if name in WITHOUT_DECAY else 0.2
    assert_same(moved(created(name=name, weight_decay=decay)), moved(OPTAXS[name]))


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_others_descend(name):
    """Along the gradient of a quadratic, from where it is 1 to below a half."""
    tx = created(name=name)
    params = {"kernel": jnp.ones((2, 3))}
    state = tx.init(params)
    for _ in range(40):
        updates, state = tx.update(params, state, params)
        params = optax.apply_updates(params, updates)
    assert np.abs(params["kernel"]).max() < 0.5


@pytest.mark.parametrize("name", sorted({*OPTIMIZERS} - {"sgd", "lamb", "lars"}))
def test_weight_decay_is_decoupled(name):
    """It takes learning_rate * weight_decay of the weights, whatever the gradient."""
    tx = created(name=name, weight_decay=0.5)
    plain = created(name=name)
    grads = gradients(0)
    ours, _ = tx.update(grads, tx.init(PARAMS), PARAMS)
    without, _ = plain.update(grads, plain.init(PARAMS), PARAMS)
    difference = ours["kernel"] - without["kernel"]
    np.testing.assert_allclose(difference, -0.05 * PARAMS["kernel"], rtol=1e-4)
    np.testing.assert_array_equal(ours["bias"], without["bias"])


def test_numbers_of_the_config_replace_optaxs():
    ours = moved(created(name="adamw", b1=0.5, b2=0.7, eps=0.1))
    assert_same(ours, moved(optax.adam(0.1, b1=0.5, b2=0.7, eps=0.1)))
    ours = moved(created(name="lion", b1=0.5))
    assert_same(ours, moved(optax.lion(0.1, b1=0.5, weight_decay=0.0)))


def test_the_gradient_is_clipped_as_a_whole_before_anything_else():
    tx = created(clip_norm=0.5, momentum=0.0)
    grads = gradients(0)
    updates, _ = tx.update(grads, tx.init(PARAMS), PARAMS)
    norm = np.sqrt(sum(np.sum(np.square(grad)) for grad in grads.values()))
    assert norm > 0.5
    for name in PARAMS:
        expected = -0.1 * 0.5 / norm * grads[name]
        np.testing.assert_allclose(updates[name], expected, rtol=1e-5)
    small = jax.tree.map(lambda grad: grad * 0.1 / norm, grads)
    updates, _ = tx.update(small, tx.init(PARAMS), PARAMS)
    np.testing.assert_allclose(updates["bias"], -0.1 * small["bias"], rtol=1e-6)


def test_the_defaults_keep_the_state_that_checkpoints_hold():
    state = optim.create(base.get_config().optimizer, epochs=2, steps_per_epoch=4).init(
        PARAMS
    )
    assert [type(part).__name__ for part in state] == [
        "MaskedState", "TraceState", "ScaleByScheduleState",
    ]  # fmt: skip


def test_a_run_of_an_earlier_version_is_read(tmp_path):
    """Its config.json lacks the optimiser's name, and other fields that came later."""
    written = GOLDEN / "config_of_an_earlier_version.json"
    shutil.copy(written, tmp_path / "config.json")
    assert "name" not in json.loads(written.read_text())["optimizer"]
    read = settings.load(tmp_path)
    validation.validate(read)
    config = digits_ikl_at.get_config("quick")
    before, now = (json.loads(each.to_json()) for each in (read, config))
    assert settings.differences(before, now) == {}
    settings.claim(tmp_path, config)
    config.optimizer.name = "adamw"
    with pytest.raises(UserError, match=r"optimizer\.name is 'sgd' there and 'adamw'"):
        settings.claim(tmp_path, config)


@pytest.mark.long
def test_adamw_resumes_as_if_it_had_not_stopped(tmp_path):
    def run(workdir, epochs):
        config = digits_ikl_at.get_config("natural,quick")
        config.optimizer.update(
            {
                "name": "adamw", "learning_rate": 0.001, "schedule": "constant",
                "layer_decay": 0.8, "clip_norm": 1.0, "weight_decay": 0.05,
            }
        )  # fmt: skip
        config.batch_size, config.epochs, config.evaluation.restarts = 256, epochs, 0
        loop.train(config, workdir, Console(quiet=True))

    run(tmp_path / "whole", 2)
    run(tmp_path / "stopped", 1)
    run(tmp_path / "stopped", 2)
    whole, stopped = (metrics_of(tmp_path / name) for name in ("whole", "stopped"))
    last = [lines[-1] for lines in (whole, stopped)]
    assert last[0] == last[1]
    losses = [
        {line["step"]: line["loss"] for line in lines if "loss" in line}
        for lines in (whole, stopped)
    ]
    assert losses[0] == losses[1]
    assert len(losses[0]) >= 2
