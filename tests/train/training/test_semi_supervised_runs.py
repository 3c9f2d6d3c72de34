"""Runs with a few labels: withheld labels, going on, other label sets, processes."""

import jax
import numpy as np
import pytest
from rich.console import Console

from configs import digits_ssl
from tests.support.commands import metrics_of, outcome, started_together, train
from train.base.errors import UserError
from train.devices import sharding
from train.devices.preemption import Preempted, Watch
from train.experiment import run
from train.training import loop, program


def config(argument="fixmatch,ikl"):
    whole = digits_ssl.get_config(f"{argument},quick")
    whole.model.name = "cnn"
    return whole


def go(whole, workdir):
    return loop.train(whole, workdir, Console(quiet=True))


def stopped(monkeypatch, whole, workdir, at=3):
    monkeypatch.setattr(Watch, "requested", lambda watch, step: step == at)
    with pytest.raises(Preempted):
        go(whole, workdir)
    monkeypatch.setattr(Watch, "requested", lambda watch, step: False)


def test_the_step_is_not_given_the_labels_of_unlabelled_examples():
    """With other ones the new state is the same, to the last bit."""
    built = run.build(config())
    given = next(built.training_batches())
    seen = []

    def watched(state, batch):
        seen.append({*batch})
        return built.recipe.step(state, batch)

    step = program.jitted_step(
        run.Run(**{**vars(built), "recipe": built.recipe._replace(step=watched)})
    )
    name = "withheld_unlabelled_label"
    ends = []
    for labels in (given[name], 9 - given[name]):
        batch = sharding.put(given | {name: labels}, built.mesh)
        ends.append(step(built.initial_state(), batch))
    columns = {"image", "label", "unlabelled_image", "unlabelled_second_view"}
    assert seen == [columns]
    (state, metrics), (other, other_metrics) = ends
    leaves = zip(
        jax.tree.leaves(state.weights), jax.tree.leaves(other.weights), strict=True
    )
    assert all(np.array_equal(a, b) for a, b in leaves)
    assert metrics["loss"] == other_metrics["loss"]
    accuracies = [m["pseudo_label_accuracy"] for m in (metrics, other_metrics)]
    assert accuracies[0] != accuracies[1]


@pytest.mark.long
@pytest.mark.parametrize("argument", ["fixmatch,ikl", "mean_teacher,mse"])
def test_a_stopped_run_goes_on_to_the_same_end(tmp_path, monkeypatch, argument):
    whole = config(argument)
    whole.unlabelled.threshold = 0.12  # reached by some
    if argument == "fixmatch,ikl":
        whole.loss.weights = "class_means"
    go(whole, tmp_path / "whole")
    stopped(monkeypatch, whole, tmp_path / "stopped")
    go(whole, tmp_path / "stopped")
    lines = metrics_of(tmp_path / "whole")
    assert metrics_of(tmp_path / "stopped") == lines
    assert any(0 < line.get("mask", 0) < 1 for line in lines)
    assert any("masked_pseudo_label_accuracy" in line for line in lines)
    built = run.build(whole)
    ours, theirs = (
        jax.tree.leaves(run.newest_state(built, tmp_path / name, pytest.fail).averaged)
        for name in ("whole", "stopped")
    )
    assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.long
def test_a_run_does_not_go_on_with_other_labels(tmp_path, monkeypatch):
    """Where the file is does not matter, but what it lists."""
    whole = config()
    whole.data.num_labels = 0
    lists = [tmp_path / f"{name}.txt" for name in "abc"]
    for path, first in zip(lists, (0, 0, 1), strict=True):
        path.write_text("\n".join(map(str, range(first, first + 40))))
    whole.data.label_list = str(lists[0])
    stopped(monkeypatch, whole, tmp_path / "run")
    whole.data.label_list = str(lists[2])
    message = (
        r"the set of labelled examples \(data.num_labels, data.label_list\) has changed"
    )
    with pytest.raises(UserError, match=message):
        go(whole, tmp_path / "run")
    whole.data.label_list = str(lists[1])
    stopped(monkeypatch, whole, tmp_path / "run", at=4)
    whole.data.label_list, whole.data.num_labels = "", 40
    with pytest.raises(UserError, match="data.num_labels is 0 there and 40 here"):
        go(whole, tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize("argument", ["fixmatch,ikl", "mean_teacher,ikl"])
def test_two_processes_train_as_one_device(tmp_path, argument):
    name = f"configs/digits_ssl.py:{argument},quick"
    more = ("--config.epochs=5", "--config.unlabelled.threshold=0.12")
    train(tmp_path / "one", *more, config=name)
    given = (f"--config={name}", f"--workdir={tmp_path / 'two'}", *more)
    codes, errors = outcome(started_together("train", *given), timeout=300)
    assert codes == [0, 0], errors
    one, two = metrics_of(tmp_path / "one"), metrics_of(tmp_path / "two")
    assert [line["step"] for line in one] == [line["step"] for line in two]
    for expected, line in zip(one, two, strict=True):
        for metric in ("loss", "consistency", "mask", "pseudo_label_accuracy"):
            if metric in expected:
                close = pytest.approx(expected[metric], rel=1e-3, abs=1e-6)
                assert line[metric] == close, (line["step"], metric)
