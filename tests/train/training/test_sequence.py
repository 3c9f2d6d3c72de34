"""Sequences of tasks through the command line: stopped, resumed, refused, compared."""

import itertools
import json
import shutil

import jax
import numpy as np
import pytest

from tests.conftest import write_idx
from tests.support.commands import outcome, result_of, started_together, train
from tests.support.shared import made_once
from train import cli, compare, evaluate
from train.data.subsets import class_splits
from train.devices.preemption import Watch
from train.experiment import run as runs
from train.networks import classes
from train.training import loop

CONFIG, ARGUMENT = "configs/split_fashion_mnist.py", "lwf,ikl,memory=3,quick"
MORE = (
    "--config.continual.classes_per_task=0", "--config.model.name=cnn_4", "--config.log_every=1",
    "--config.evaluation.batch_size=32",
)  # fmt: skip


@pytest.fixture(scope="session")
def source(tmp_path_factory):
    """The small images as four idx files."""

    def make(folder):
        folder.mkdir()
        write_idx(folder)

    return f"idx:{made_once(tmp_path_factory, 'split_data', make)}"


def given(workdir, source, *more, argument=ARGUMENT):
    config = (f"--config={CONFIG}:{argument}", f"--workdir={workdir}")
    splits = "--config.continual.splits="  # a second one would be added to the first
    if not any(each.startswith(splits) for each in more):
        more = (*more, f"{splits}((3,1),(0,2))")
    return [*config, f"--config.data.source={source}", *MORE, *more]


def go(workdir, source, *more, argument=ARGUMENT):
    return cli.main(["train", *given(workdir, source, *more, argument=argument)])


@pytest.fixture(scope="session")
def finished(tmp_path_factory, source):
    return made_once(
        tmp_path_factory, "sequence", lambda folder: assert_done(go(folder, source))
    )


def assert_done(code):
    assert code == 0


def timeless(workdir):
    """A result without its times and the path of the sequence."""
    result = result_of(workdir)
    result.pop("seconds")
    result["initial_weights"].pop("path")
    return result


def weights_of(folder):
    opened = runs.reopen(folder)
    return opened, runs.newest_state(opened, folder, pytest.fail).weights


@pytest.mark.long
def test_every_task_is_a_run_and_the_sequence_has_a_result(finished, capsys):
    result = result_of(finished)
    assert result["config"] == "split_fashion_mnist:lwf,ikl:memory=3:quick"
    assert result["steps"] == 4
    assert result["continual"]["tasks"] == [[3, 1], [0, 2]]
    assert result["continual"]["memory"] == 3
    for task, count in ((1, 1), (2, 2)):
        row = result_of(finished / f"task_{task}")["accuracy_by_task"]
        assert {len(each) for each in row.values()} == {count}
        for way, each in row.items():
            assert result["continual"][way]["accuracy_matrix"][task - 1] == each
    before = json.loads((finished / "task_1" / "config.json").read_text())
    after = json.loads((finished / "task_2" / "config.json").read_text())
    assert (before["recipe"], before["teacher"]["path"]) == ("supervised", "")
    assert after["recipe"] == "distillation"
    assert after["teacher"]["path"] == after["model"]["initial_weights"]
    assert after["teacher"]["path"] == str(finished / "task_1")
    # The table of runs shows it, and an evaluation finds the same.
    assert compare.main([str(finished), str(finished / "task_2")]) == 0
    assert "class-IL" in capsys.readouterr().out
    evaluated = [f"--workdir={finished}/task_2", "--restarts=0"]
    assert evaluate.main(["evaluate", *evaluated]) == 0
    (record,) = json.loads(
        (finished / "task_2" / "evaluation.json").read_text()
    ).values()
    expected = result_of(finished / "task_2")["accuracy_by_task"]
    assert record["accuracy_by_task"] == expected


@pytest.mark.long
def test_a_task_goes_on_from_the_weights_of_the_one_before(finished):
    """Unseen classes keep the columns that they were born with."""
    _, first = weights_of(finished / "task_1")
    opened, second = weights_of(finished / "task_2")
    start = runs.reopen(finished / "task_1")
    born = start.initial_state().weights
    assert isinstance(start.model, classes.SeenClasses)
    assert not isinstance(opened.model, classes.SeenClasses)
    largest = lambda a, b: max(
        float(np.abs(x - y).max())
        for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )
    # Two small steps away from task 1, not from new weights.
    assert 0 < largest(second.params, first.params) < largest(first.params, born.params)


@pytest.mark.long
@pytest.mark.parametrize("at", [1, 3, 4])
def test_a_stopped_sequence_goes_on_to_the_same_end(
    tmp_path, source, finished, monkeypatch, at
):
    """`at` counts the steps of all tasks: before the first and within the second."""
    calls = itertools.count(1)
    monkeypatch.setattr(Watch, "requested", lambda watch, step: next(calls) == at)
    assert go(tmp_path / "run", source) != 0
    assert not (tmp_path / "run" / "result.json").exists()
    done = [(tmp_path / "run" / f"task_{t}" / "result.json").exists() for t in (1, 2)]
    assert done == [at > 2, False]
    monkeypatch.setattr(Watch, "requested", lambda watch, step: False)
    trained = []
    finish = loop.finish
    monkeypatch.setattr(
        loop, "finish", lambda c, w, o: trained.append(w.name) or finish(c, w, o)
    )
    assert go(tmp_path / "run", source) == 0
    assert trained == (["task_2"] if at > 2 else ["task_1", "task_2"])
    assert timeless(tmp_path / "run") == timeless(finished)
    for task in ("task_1", "task_2"):
        ours, theirs = (
            weights_of(each / task)[1] for each in (tmp_path / "run", finished)
        )
        jax.tree.map(np.testing.assert_array_equal, ours, theirs)


@pytest.mark.long
def test_on_a_mesh_that_divides_the_classes(tmp_path, source, finished):
    more = ("--config.mesh=(4,2)", "--config.fsdp=True")
    assert go(tmp_path / "run", source, *more) == 0
    ours, theirs = (
        weights_of(each / "task_2")[1] for each in (tmp_path / "run", finished)
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), ours, theirs)


def copied(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.long
def test_what_a_sequence_does_not_go_on_with(finished, source, tmp_path, capsys):
    folder = copied(finished, tmp_path)
    for more, message in (
        (("--config.continual.splits=((0,1),(2,3))",), "continual.splits is [[3, 1]"),
        (("--config.continual.memory=2",), "continual.memory is 3 there and 2 here"),
        (("--config.epochs=2",), "epochs is 1 there and 2 here"),
    ):
        assert go(folder, source, *more) == 1
        assert message in capsys.readouterr().err
    other = tmp_path / "data"
    other.mkdir()
    write_idx(other)
    labels = bytearray((other / "t10k-labels-idx1-ubyte").read_bytes())
    labels[-1] = (labels[-1] + 1) % 4
    (other / "t10k-labels-idx1-ubyte").write_bytes(labels)
    assert go(folder, f"idx:{other}") == 1
    assert "the data set has changed since task" in capsys.readouterr().err


@pytest.mark.long
def test_a_task_that_began_elsewhere_is_named(finished, source, tmp_path, capsys):
    folder = copied(finished, tmp_path)
    path = folder / "task_1" / "result.json"
    result = json.loads(path.read_text())
    ended = result["weights_checksum"]
    path.write_text(json.dumps(result | {"weights_checksum": "0"}))
    assert go(folder, source) == 1
    message = f"{folder / 'task_2'} began from other weights ({ended}) than task 1"
    assert message in capsys.readouterr().err


@pytest.mark.long
def test_a_sequence_may_be_moved_and_one_task_run_by_itself(
    finished, source, tmp_path, monkeypatch
):
    calls = itertools.count(1)
    monkeypatch.setattr(Watch, "requested", lambda watch, step: next(calls) == 4)
    assert go(tmp_path / "before", source) != 0
    monkeypatch.setattr(Watch, "requested", lambda watch, step: False)
    (tmp_path / "before").rename(tmp_path / "run")
    assert go(tmp_path / "run", source) == 0
    assert timeless(tmp_path / "run")["continual"] == timeless(finished)["continual"]
    before = finished / "task_1"
    alone = (
        "--config.continual.task=2", f"--config.model.initial_weights={before}",
        f"--config.teacher.path={before}",
    )  # fmt: skip
    assert go(tmp_path / "alone", source, *alone) == 0
    ours, theirs = (weights_of(f)[1] for f in (tmp_path / "alone", finished / "task_2"))
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


@pytest.mark.long
def test_commands_that_need_a_run_name_the_tasks(finished, tmp_path, capsys):
    folder = copied(finished, tmp_path)
    assert evaluate.main(["evaluate", f"--workdir={folder}"]) == 1
    assert f"such as {folder / 'task_1'}" in capsys.readouterr().err
    (folder / "result.json").unlink()
    assert compare.main([str(folder)]) == 1
    assert "no finished run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--config.teacher.path=x",), "teacher.path is the model of the task before"),
        (("--config.teacher.cache=x",), "teacher.cache does not go with continual."),
        (("--config.data.num_labels=4",), "data.num_labels does not go with continual"),
        (("--config.recipe=adversarial",), "recipe must be distillation or supervised"),
        (("--config.loss.name=dkd",), "loss.name=dkd compares the label's class"),
        (("--config.loss.label_smoothing=0.1",), "label_smoothing gives a share to"),
        (("--config.continual.task=1",), "continual.task=1 has no task before it"),
        (("--config.continual.memory=90",), "continual.memory keeps 90 examples of ea"),
        (("--config.continual.memory_share=0.01",), "memory_share must give both part"),
        (("--config.batch_size=64",), "batch_size must be at most the"),
        (("--config.data.drop_remainder=False",), "continual.memory mixes whole batch"),
        (("--config.continual.splits=((0,1),(2,))",), "leaves out 3"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(
    tmp_path, source, capsys, more, message
):
    assert go(tmp_path / "run", source, *more) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.long
def test_fine_tuning_has_no_teacher_and_plan_is_of_the_first_task(
    tmp_path, source, capsys
):
    assert go(tmp_path / "run", source, argument="fine_tuning,quick") == 0
    after = json.loads((tmp_path / "run" / "task_2" / "config.json").read_text())
    assert (after["recipe"], after["teacher"]["path"]) == ("supervised", "")
    assert after["model"]["initial_weights"] == str(tmp_path / "run" / "task_1")
    capsys.readouterr()
    plan = [each for each in given("", source) if not each.startswith("--workdir")]
    assert cli.main(["train", *plan, "--plan"]) == 0
    assert "the plan of task 1 alone" in capsys.readouterr().out


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path, source):
    train(
        tmp_path / "one",
        *given("", source)[2:],
        config=f"{CONFIG}:{ARGUMENT}",
    )
    codes, errors = outcome(
        started_together("train", *given(tmp_path / "two", source)), timeout=300
    )
    assert codes == [0, 0], errors
    ours, theirs = (result_of(tmp_path / name) for name in ("two", "one"))
    for way in ("class_incremental", "task_incremental"):
        for a, b in zip(
            ours["continual"][way]["accuracy_matrix"],
            theirs["continual"][way]["accuracy_matrix"],
            strict=True,
        ):
            np.testing.assert_allclose(a, b, atol=0.07)  # an image of sixteen


def test_a_mask_of_classes_is_the_tasks(source):
    """A network's logits of classes to come are as padding."""
    from configs import split_fashion_mnist

    config = split_fashion_mnist.get_config("fine_tuning,quick")
    config.data.source, config.model.name = source, "cnn_4"
    config.continual.task = 1
    built = runs.build(config)
    assert class_splits.seen(config.continual, 4) == (0, 1)
    state = built.initial_state()
    logits = built.model.apply(state.weights.variables, np.zeros((2, 12, 12, 1)))
    assert np.all(np.asarray(logits[:, 2:]) == classes.PADDING_LOGIT)
    assert np.all(np.abs(logits[:, :2]) < 100)
