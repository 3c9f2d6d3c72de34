"""`--weights=best`: of any epoch, the last one too, whenever a run is killed."""

import jax
import numpy as np
import pytest
from rich.console import Console

from configs import digits_ikl_at
from tests.support.commands import metrics_of
from train.base.errors import UserError
from train.evaluation.pgd import Evaluator
from train.evaluation.predictions import Predictions
from train.experiment import run
from train.experiment.checkpoint import Checkpoints
from train.training import loop

STEPS = 3  # an epoch


@pytest.fixture
def natural(small_source):
    """Makes configs of supervised training, whose step is compiled quickly."""

    def config(epochs=4, **changed):
        config = digits_ikl_at.get_config("natural,quick")
        config.data.source, config.batch_size = small_source, 32
        config.epochs, config.evaluation.restarts = epochs, 0
        config.update_from_flattened_dict(changed)
        return config

    return config


def go(config, workdir):
    return loop.train(config, workdir, Console(quiet=True))


def scored(monkeypatch, scores):
    """Evaluations of at most 100 examples give these scores, one after another."""
    evaluate, scores = Evaluator.__call__, iter(scores)

    def chosen(evaluator, weights, limit=None, **kept):
        if limit is None:
            return evaluate(evaluator, weights, **kept)
        rows = np.arange(10)
        wrong = rows >= 10 * next(scores)
        return Predictions(rows, np.zeros(10, int), wrong.astype(int))

    monkeypatch.setattr(Evaluator, "__call__", chosen)


def best_of(config, workdir):
    return run.best_weights(run.build(config), workdir, pytest.fail)


@pytest.mark.parametrize(
    "best", [*(pytest.param(epoch, marks=pytest.mark.long) for epoch in (1, 2)), 4]
)
def test_any_epoch_may_be_the_best(tmp_path, monkeypatch, best, natural):
    """Although only the last epoch is one of those that are saved anyway."""
    config = natural(checkpoint_every=4, keep_checkpoints=1)
    scored(monkeypatch, [0.9 if epoch == best else 0.5 for epoch in range(1, 5)])
    go(config, tmp_path)
    assert best_of(config, tmp_path).step == best * STEPS
    steps = {int(path.name) for path in (tmp_path / "checkpoints").iterdir()}
    assert steps == {best * STEPS, 4 * STEPS}


@pytest.mark.long
def test_the_best_weights_are_those_of_their_step(tmp_path, monkeypatch, natural):
    config = natural(epochs=2, **{"averaging.every": "step"})
    scored(monkeypatch, [0.9, 0.5])
    go(config, tmp_path / "run")
    weights = best_of(config, tmp_path / "run").tree
    scored(monkeypatch, [0.5, 0.9])
    go(config, tmp_path / "other")
    last = best_of(config, tmp_path / "other").tree
    state = run.newest_state(run.build(config), tmp_path / "run", pytest.fail)
    for ours, theirs in zip(
        jax.tree.leaves(last), jax.tree.leaves(state.averaged), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    assert any(
        np.any(np.asarray(ours) != np.asarray(theirs))
        for ours, theirs in zip(
            jax.tree.leaves(weights), jax.tree.leaves(state.averaged), strict=True
        )
    )


def test_the_last_epochs_score_is_of_the_same_examples(tmp_path, monkeypatch, natural):
    """And `result.json` is of all of them, as is the last line of the log."""
    config = natural(epochs=2, **{"evaluation.during_training": 8})
    limits, evaluate = [], Evaluator.__call__

    def noted(evaluator, weights, limit=None, **kept):
        limits.append(limit)
        return evaluate(evaluator, weights, limit, **kept)

    monkeypatch.setattr(Evaluator, "__call__", noted)
    result = go(config, tmp_path)
    assert limits == [8, 8, None]
    assert result["num_examples"] == 16
    evaluated = [
        each for each in metrics_of(tmp_path) if "eval_natural_accuracy" in each
    ]
    assert [each["step"] for each in evaluated] == [STEPS, 2 * STEPS]
    assert evaluated[-1]["eval_natural_accuracy"] == result["natural_accuracy"]


class Killed(BaseException):
    """Nothing in the program catches it, as nothing catches SIGKILL."""


@pytest.mark.long
def test_killed_between_two_checkpoints(tmp_path, monkeypatch, natural):
    """The best weights are there before the run goes on, and at its end."""
    config = natural(checkpoint_every=4, keep_checkpoints=1)
    scored(monkeypatch, [0.5, 0.9, 0.6, 0.5])
    go(config, tmp_path / "whole")
    saved, save = [], Checkpoints.save

    def noted(checkpoints, step, *rest):
        save(checkpoints, step, *rest)
        checkpoints.wait()
        saved.append(step)
        if step == 2 * STEPS:
            raise Killed

    monkeypatch.undo()
    scored(monkeypatch, [0.5, 0.9])
    monkeypatch.setattr(Checkpoints, "save", noted)
    with pytest.raises(Killed):
        go(config, tmp_path / "killed")
    assert saved == [STEPS, 2 * STEPS]
    assert best_of(config, tmp_path / "killed").step == 2 * STEPS
    monkeypatch.undo()
    scored(monkeypatch, [0.6, 0.5])
    go(config, tmp_path / "killed")
    ours, theirs = (best_of(config, tmp_path / name) for name in ("killed", "whole"))
    assert ours.step == theirs.step == 2 * STEPS
    for one, other in zip(
        jax.tree.leaves(ours.tree), jax.tree.leaves(theirs.tree), strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.long
def test_another_measure_begins_anew(tmp_path, monkeypatch, natural):
    config = natural(epochs=2, checkpoint_every=1)
    scored(monkeypatch, [0.9, 0.8])
    go(config, tmp_path)
    assert best_of(config, tmp_path).step == STEPS
    config.epochs, config.evaluation.during_training = 4, 100
    monkeypatch.undo()
    scored(monkeypatch, [0.4, 0.3])
    go(config, tmp_path)
    assert best_of(config, tmp_path).step == 3 * STEPS


@pytest.mark.long
def test_a_run_without_evaluations_in_training(tmp_path, natural):
    config = natural(epochs=1, **{"evaluation.every": 0})
    go(config, tmp_path)
    with pytest.raises(UserError, match="no checkpoint that was evaluated in training"):
        best_of(config, tmp_path)
    (tmp_path / "best").mkdir()  # where earlier versions saved them
    with pytest.raises(UserError, match=r"best holds the best weights of a run of an"):
        best_of(config, tmp_path)
