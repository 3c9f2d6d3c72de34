"""Classes that are divided into tasks: which examples each task has, and its memory."""

import dataclasses

import numpy as np
import pytest

from configs import base
from tests.support.data import data_config
from train.base.errors import UserError
from train.data import fingerprint, mixture, pipeline, sources
from train.data.subsets import class_splits


def continual(**changed):
    config = base.get_config().continual
    config.update(changed)
    return config


def opened(task, data=None, **changed):
    given = dict(classes_per_task=2, task=task)
    section = continual(**given | changed)
    class_splits.check(section)
    data = sources.open_source(data_config("digits")) if data is None else data
    return class_splits.of_task(data, section)


def contents(part):
    return [image.tobytes() for image in part.take(np.arange(len(part)))["image"]]


def test_classes_in_the_order_of_their_labels():
    parts = class_splits.splits(continual(classes_per_task=5), 10)
    assert parts == ((0, 1, 2, 3, 4), (5, 6, 7, 8, 9))


def test_a_seed_decides_another_order():
    parts, again, other = (
        class_splits.splits(continual(classes_per_task=2, order_seed=seed), 10)
        for seed in (1, 1, 2)
    )
    assert parts == again != other
    assert sorted(label for part in parts for label in part) == list(range(10))
    assert parts != class_splits.splits(continual(classes_per_task=2), 10)


def test_splits_by_hand_as_json_gives_them_back():
    section = continual(splits=((3, 1), (0,), (2,)), task=2)
    assert class_splits.splits(section, 4) == ((3, 1), (0,), (2,))
    assert class_splits.seen(section, 4) == (0, 1, 3)
    assert class_splits.seen_before(section, 4) == (1, 3)
    section.unlock()
    section.splits = [[3, 1], [0], [2]]
    assert class_splits.splits(section, 4) == ((3, 1), (0,), (2,))


def test_a_run_without_tasks_has_all_classes():
    data = sources.open_source(data_config("digits"))
    assert class_splits.of_task(data, continual()) is data
    assert class_splits.seen(continual(), 10) is None
    assert class_splits.seen_before(continual(), 10) is None


def test_a_task_trains_on_its_own_classes_and_is_evaluated_on_all_seen():
    whole = sources.open_source(data_config("digits"))
    for task, own, known in ((1, [0, 1], 2), (3, [4, 5], 6)):
        data = opened(task)
        assert np.unique(data.train.labels).tolist() == own
        assert np.unique(data.test.labels).tolist() == list(range(known))
        assert data.num_classes == 10
        assert data.memory is None
        counts = np.bincount(whole.train.labels)
        assert np.bincount(data.train.labels)[own].tolist() == counts[own].tolist()
        batch = data.train.take(np.arange(4))
        assert batch["label"].tolist() == data.train.labels[:4].tolist()


def test_the_memory_has_as_many_examples_of_each_earlier_class():
    data = opened(3, memory=7)
    counts = np.bincount(data.memory.split.labels, minlength=10)
    assert counts.tolist() == [7] * 4 + [0] * 6
    assert opened(1, memory=7).memory is None


def test_the_memory_of_a_class_stays_and_a_smaller_one_is_a_part():
    kept = set(contents(opened(2, memory=7).memory.split))
    assert kept < set(contents(opened(4, memory=7).memory.split))
    assert set(contents(opened(2, memory=3).memory.split)) < kept
    assert contents(opened(2, memory=7).memory.split) == contents(
        opened(2, memory=7).memory.split
    )
    other = set(contents(opened(2, memory=7, memory_seed=1).memory.split))
    assert len(other & kept) < 5


def test_nothing_that_is_held_out_is_in_the_memory():
    config = data_config("digits", validation_size=800, evaluate_on="validation")
    data = sources.open_source(config)
    fewest = int(np.bincount(data.train.labels)[:8].min())
    task = opened(5, data, memory=fewest)
    held_out = set(contents(data.test))
    assert len(held_out) == 800
    assert not held_out & set(contents(task.memory.split))
    assert not held_out & set(contents(task.train))


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_every_batch_has_the_same_number_of_rows_of_the_memory(share):
    data = opened(2, memory=3, memory_share=share)
    batches = pipeline.training_batches(
        data.train, data_config("digits"), batch_size=16, seed=0, memory=data.memory
    )
    drawn = [next(batches) for _ in range(12)]
    for batch in drawn:
        assert np.isin(batch["label"], [0, 1]).sum() == round(16 * share)
        assert np.isin(batch["label"], [2, 3]).sum() == 16 - round(16 * share)
    images = [
        image.tobytes()
        for batch in drawn
        for image in batch["image"][np.isin(batch["label"], [0, 1])]
    ]
    # All six are seen as often as one another, give or take one.
    seen = [images.count(each) for each in contents(data.memory.split)]
    assert max(seen) - min(seen) <= 1
    assert sum(seen) == len(images)


def test_the_fingerprint_of_the_data_covers_the_memory():
    shown = [
        fingerprint.fingerprint(opened(2, memory=5, memory_seed=seed))
        for seed in (0, 0, 1)
    ]
    assert shown[0] == shown[1] != shown[2]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (dict(memory=-1), "continual.memory must be >= 0, got -1"),
        (dict(classes_per_task=-2), "continual.classes_per_task must be >= 0"),
        (dict(cross_entropy="all"), "unknown continual.cross_entropy 'all'; known"),
        (dict(memory_share=1.0), "continual.memory_share must lie between 0 and 1"),
        (dict(memory_share=0.0), "continual.memory_share must lie between 0 and 1"),
        (dict(classes_per_task=2, splits=((0,), (1,))), "classes_per_task and conti"),
        (dict(order_seed=2, splits=((0,), (1,))), "order_seed must be 0, got 0 and 2"),
        (dict(task=2), "continual.task must be 0 where neither continual.classes_per"),
        (dict(memory=5), "continual.memory must be 0 where neither"),
        (dict(order_seed=5), "continual.order_seed must be 0 where neither"),
    ],
)
def test_values_that_no_data_could_have(changed, message):
    with pytest.raises(UserError, match=message):
        class_splits.check(continual(**changed))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (dict(classes_per_task=3), "must divide the 10 classes into at least two tas"),
        (dict(classes_per_task=10), "at least two tasks, got 10"),
        (dict(splits=((0, 1), (1, 2))), "must name each class once; it names twice 1"),
        (dict(splits=((0, 1, 2, 3, 4, 5, 6), (7, 8))), "it leaves out 9"),
        (dict(splits=((0, 10), (1, 2))), "does not find among 10 classes 10"),
        (dict(splits=(tuple(range(10)),)), r"at least two tasks.* got 1 of \[10\]"),
        (dict(splits=(tuple(range(10)), ())), r"got 2 of \[10, 0\] classes"),
    ],
)
def test_classes_that_cannot_be_divided_so(changed, message):
    with pytest.raises(UserError, match=message):
        class_splits.splits(continual(**changed), 10)


def test_a_task_that_does_not_exist():
    with pytest.raises(UserError, match="continual.task must be at most the 5 tasks"):
        opened(6)


def test_more_memory_than_examples_and_classes_without():
    with pytest.raises(UserError, match=r"keeps 500 examples of each class, but class"):
        opened(2, memory=500)
    data = sources.open_source(data_config("digits"))
    missing = dataclasses.replace(data, num_classes=12)
    with pytest.raises(UserError, match="needs training examples; class 10 has none"):
        opened(6, missing)


def test_a_share_that_leaves_one_part_without_a_row():
    for share in (0.01, 0.99):
        data = opened(2, memory=3, memory_share=share)
        with pytest.raises(UserError, match="continual.memory_share must give both"):
            mixture.joined(data, data_config("digits"), 16)
