"""Accuracies by task against hand-written NumPy."""

import numpy as np
import pytest

from configs import base
from train.data.splits import DataSet, InMemory
from train.evaluation import summaries
from train.evaluation.predictions import Predictions
from train.evaluation.summaries import by_task

SPLITS = ((4, 1), (0, 5), (2, 3))


def predictions(labels, logits, *, keep=True):
    indices = np.arange(len(labels))
    kept = logits if keep else None
    return Predictions(indices, labels, logits.argmax(1), logits=kept)


@pytest.fixture
def drawn():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 6, 200)
    return labels, rng.normal(size=(200, 6)) + 1.5 * np.eye(6)[labels]


def by_hand(labels, logits, splits):
    ours, given = [], []
    for split in splits:
        right = right_given = count = 0
        for label, row in zip(labels, logits, strict=True):
            if label in split:
                count += 1
                right += int(np.argmax(row)) == label
                right_given += max(split, key=lambda each, row=row: row[each]) == label
        ours.append(right / count)
        given.append(right_given / count)
    return {"class_incremental": ours, "task_incremental": given}


def test_both_ways(drawn):
    found = by_task.accuracies(predictions(*drawn), SPLITS)
    expected = by_hand(*drawn, SPLITS)
    for way, each in expected.items():
        np.testing.assert_allclose(found[way], each, atol=1e-12)
    assert all(
        given > ours
        for ours, given in zip(*(found[way] for way in expected), strict=True)
    )


def test_without_logits_and_without_examples(drawn):
    labels, logits = drawn
    found = by_task.accuracies(predictions(labels, logits, keep=False), SPLITS)
    assert list(found) == ["class_incremental"]
    few = labels < 2  # none of the last task
    found = by_task.accuracies(predictions(labels[few], logits[few]), SPLITS)
    assert found["class_incremental"][-1] is None
    assert found["task_incremental"][-1] is None


def test_only_the_tasks_so_far_and_only_in_a_sequence(drawn):
    labels, logits = drawn
    config, data = base.get_config(), InMemory(np.zeros((200, 2, 2, 1)), labels)
    whole = DataSet(data, data, 6, (2, 2, 1))
    assert not summaries.need_logits(config)
    assert "accuracy_by_task" not in summaries.summarized(
        predictions(labels, logits), whole, config
    )
    config.continual.splits, config.continual.task = SPLITS, 2
    assert summaries.need_logits(config)
    found = summaries.summarized(predictions(labels, logits), whole, config)
    expected = by_hand(labels, logits, SPLITS[:2])
    assert list(found["accuracy_by_task"]) == list(expected)
    for way, each in expected.items():
        assert found["accuracy_by_task"][way] == pytest.approx(each)
