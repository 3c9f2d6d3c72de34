"""Accuracy of many-, medium- and few-shot classes, against a count by hand."""

import numpy as np
import pytest

from configs import base
from tests.support.commands import result_of, run, train
from train.base.errors import UserError
from train.data.splits import DataSet, InMemory
from train.evaluation import summaries
from train.evaluation.predictions import Predictions
from train.evaluation.summaries import shots
from train.experiment import validation


def data(*counts):
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    split = InMemory(np.zeros((len(labels), 2, 2, 1), np.uint8), labels)
    return DataSet(split, split, len(counts), (2, 2, 1))


def predictions(**right_of):
    """By class: how many of its four examples are right."""
    labels = np.repeat([int(name[1:]) for name in right_of], 4)
    right = np.concatenate([np.arange(4) < right for right in right_of.values()])
    return Predictions(np.arange(len(labels)), labels, np.where(right, labels, -1))


def test_each_group_is_the_mean_over_its_classes():
    # 100 is not many, 20 not few.
    found = shots.accuracies(
        predictions(c0=4, c1=2, c2=3, c3=1, c4=0),
        data(150, 101, 100, 20, 19),
        (20, 100),
    )
    assert found == {"many": 0.75, "medium": 0.5, "few": 0.0}
    assert list(found) == ["many", "medium", "few"]


def test_classes_that_are_not_evaluated_do_not_count():
    found = shots.accuracies(predictions(c1=3), data(150, 10, 10), (20, 100))
    assert found == {"few": 0.75}


def test_balanced_data_has_no_groups():
    assert shots.accuracies(predictions(c0=4, c1=0), data(50, 60), (20, 100)) == {}


@pytest.mark.parametrize("given", [(100, 20), (1, 2, 3), (-1, 5)])
def test_thresholds_that_cannot_be(given):
    config = base.get_config()
    config.evaluation.shots = given
    with pytest.raises(UserError, match="evaluation.shots must be two numbers"):
        validation.validate(config)


def test_what_the_groups_depend_on_is_among_the_arguments():
    config = base.get_config()
    assert summaries.arguments(config) == {}
    config.data.imbalance_ratio = 20
    long_tailed = summaries.arguments(config)
    config.evaluation.shots = (5, 50)
    other_groups = summaries.arguments(config)
    config.data.imbalance_ratio, config.data.train_list = 1, "train.txt"
    listed = summaries.arguments(config)
    assert other_groups == {
        "shots": [5, 50], "imbalance_ratio": 20, "train_list": ""
    }  # fmt: skip
    assert listed == {"shots": [5, 50], "imbalance_ratio": 1, "train_list": "train.txt"}
    assert long_tailed != other_groups


@pytest.mark.slow
def test_a_long_tailed_run_without_an_attack(tmp_path):
    """Through the command line: what it prints, keeps, and is evaluated to again."""
    workdir = tmp_path / "run"
    done = train(
        workdir, "--config.data.imbalance_ratio=20", "--config.evaluation.shots=10,50",
        "--config.evaluation.restarts=0", "--config.evaluation.every=1",
        "--config.epochs=2", config="configs/digits_distill.py:alone,quick",
    )  # fmt: skip
    result = result_of(workdir)
    assert result["robust_accuracy"] == {}
    assert "epsilon" not in result
    assert set(result["accuracy_by_shots"]) == {"many", "medium", "few"}
    for shown in ("many", "medium", "few", "natural"):
        assert shown in done.stdout
    assert "pgd" not in done.stdout
    assert (workdir / "examples.png").read_bytes().startswith(b"\x89PNG")
    again = run(f"--workdir={workdir}", "--weights=last", module="train.evaluate")
    assert again.returncode == 0, again.stderr
    many = result["accuracy_by_shots"]["many"]
    assert f"accuracy_by_shots: many {many:.4g}, medium " in again.stdout
    assert "robust_accuracy" not in again.stdout
    assert "epsilon" not in again.stdout
