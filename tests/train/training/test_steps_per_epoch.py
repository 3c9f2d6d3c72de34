"""Epochs that are shorter or longer than a pass over the training part."""

import jax
import numpy as np
import pytest
from rich.console import Console

from configs import digits_ikl_at
from tests.support.commands import metrics_of
from train.base.errors import UserError
from train.devices.preemption import Preempted, Watch
from train.experiment import run, settings
from train.experiment.validation import validate
from train.planning import plan
from train.recipes import optim
from train.training import loop

PASS = 4  # steps, in batches of 32, of which the last one has 16 examples


@pytest.fixture
def natural(small_source):
    """Makes configs of supervised training, whose step is compiled quickly."""

    def config(steps_per_epoch, epochs=2, **changed):
        config = digits_ikl_at.get_config("natural,quick")
        config.data.source, config.data.drop_remainder = small_source, False
        config.steps_per_epoch, config.epochs, config.batch_size = (
            steps_per_epoch, epochs, 32,
        )  # fmt: skip
        config.log_every, config.evaluation.restarts = 2, 0
        config.update_from_flattened_dict(changed)
        return config

    return config


def go(config, workdir):
    return loop.train(config, workdir, Console(quiet=True))


def final_state(config, workdir):
    state = run.newest_state(run.build(config), workdir, pytest.fail)
    return jax.tree.leaves(state.replace(key=jax.random.key_data(state.key)))


@pytest.mark.long
@pytest.mark.parametrize("steps", [3, 6])
def test_an_epoch_has_so_many_steps(tmp_path, steps, natural):
    config = natural(steps)
    result = go(config, tmp_path)
    assert (result["epochs"], result["steps"]) == (2, 2 * steps)
    lines = metrics_of(tmp_path)
    evaluated = [line["step"] for line in lines if "eval_natural_accuracy" in line]
    assert evaluated == [steps, 2 * steps]
    logged = [line["step"] for line in lines if "loss" in line]
    every = {*range(2, 2 * steps + 1, 2), steps, 2 * steps}
    assert logged == sorted(every)


@pytest.mark.long
def test_a_pass_is_the_default(tmp_path, natural):
    """One that is given in numbers is the same, to the last bit."""
    default, given = natural(0, epochs=1), natural(PASS, epochs=1)
    go(default, tmp_path / "default")
    go(given, tmp_path / "given")
    assert metrics_of(tmp_path / "default") == metrics_of(tmp_path / "given")


@pytest.mark.long
def test_the_data_do_not_depend_on_the_length_of_an_epoch(tmp_path, natural):
    """Two epochs of 6 steps see the batches of 12 steps in one."""
    constant = {"optimizer.schedule": "constant", "averaging.every": "none"}
    twice = natural(6, epochs=2, **constant)
    once = natural(12, epochs=1, **constant)
    go(twice, tmp_path / "twice")
    go(once, tmp_path / "once")
    for ours, theirs in zip(
        final_state(twice, tmp_path / "twice"), final_state(once, tmp_path / "once"),
        strict=True,
    ):  # fmt: skip
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("steps", [3, pytest.param(6, marks=pytest.mark.long)])
def test_resumed_in_the_middle_of_an_epoch(tmp_path, monkeypatch, steps, natural):
    config = natural(steps)
    go(config, tmp_path / "whole")
    stop = steps + steps // 2
    monkeypatch.setattr(Watch, "requested", lambda watch, step: step == stop + 1)
    with pytest.raises(Preempted):
        go(config, tmp_path / "stopped")
    monkeypatch.undo()
    assert int(final_state(config, tmp_path / "stopped")[0]) == stop
    go(config, tmp_path / "stopped")
    assert metrics_of(tmp_path / "whole") == metrics_of(tmp_path / "stopped")
    for ours, theirs in zip(
        final_state(config, tmp_path / "stopped"),
        final_state(config, tmp_path / "whole"), strict=True,
    ):  # fmt: skip
        np.testing.assert_array_equal(ours, theirs)


def test_schedules_and_ramps_go_by_these_epochs(natural):
    config = natural(5, epochs=4, **{"optimizer.schedule": "cosine"})
    built = run.build(config)
    assert (built.steps_per_epoch, built.total_steps) == (5, 20)
    rate = optim.schedule(
        config.optimizer, epochs=config.epochs, steps_per_epoch=built.steps_per_epoch
    )
    assert float(rate(0)) == pytest.approx(config.optimizer.learning_rate)
    assert float(rate(10)) == pytest.approx(config.optimizer.learning_rate / 2)
    assert float(rate(20)) == pytest.approx(0, abs=1e-8)


def test_the_plan_counts_them(natural):
    planned = plan.plan(natural(6, epochs=3))
    assert (planned.steps_per_epoch, planned.steps) == (6, 18)


def test_a_short_run_need_not_take_the_incomplete_batch(natural):
    """In four parts, the 16 examples of that batch do not go around 8 devices."""
    config = natural(3, epochs=1, accumulate=4)
    assert run.build(config).total_steps == 3 < PASS
    config.steps_per_epoch = 4
    with pytest.raises(
        UserError, match=r"the last batch .* / 4 \(accumulate\) .* got 4"
    ):
        run.build(config)


def test_bad_values(tmp_path, natural):
    with pytest.raises(UserError, match="steps_per_epoch must be >= 0, got -1"):
        validate(natural(-1))
    with pytest.raises(TypeError):
        natural(2.5)
    settings.claim(tmp_path / "run", natural(5))
    with pytest.raises(UserError, match="steps_per_epoch is 5 there and 6 here"):
        settings.claim(tmp_path / "run", natural(6))
