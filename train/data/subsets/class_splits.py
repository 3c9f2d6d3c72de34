"""Divides the classes into tasks, and the examples with them.

A task trains on the examples of its own classes and is evaluated on those of all
classes seen so far, its own included. The memory holds a few training examples of each
class that was seen before. Labels stay as they are.
"""

import dataclasses

import numpy as np

from train.base import fields
from train.base.config import ContinualConfig
from train.base.errors import UserError
from train.data.splits import DataSet, Memory, Split, part_of

Splits = tuple[tuple[int, ...], ...]


def are_asked_for(continual: ContinualConfig) -> bool:
    """Whether the classes are divided into tasks."""
    return bool(continual.classes_per_task or len(continual.splits))


def check(continual: ContinualConfig) -> None:
    """Raises `UserError` for values that are wrong whatever the data."""
    fields.non_negative(
        "continual", continual, "classes_per_task", "order_seed", "memory",
        "memory_seed", "task",
    )  # fmt: skip
    fields.one_of("continual", continual, cross_entropy=("seen", "task"))
    share = continual.memory_share
    if not 0 < share < 1:
        raise UserError(
            f"continual.memory_share must lie between 0 and 1, got {share:g}"
        )
    if len(continual.splits) and (continual.classes_per_task or continual.order_seed):
        raise UserError(
            "continual.splits says which classes come when: continual.classes_per_task "
            f"and continual.order_seed must be 0, got {continual.classes_per_task} and "
            f"{continual.order_seed}"
        )
    if not are_asked_for(continual):
        _check_unused(continual)


def _check_unused(continual: ContinualConfig) -> None:
    for name in ("task", "memory", "order_seed"):
        if value := getattr(continual, name):
            raise UserError(
                f"continual.{name} must be 0 where neither continual.classes_per_task "
                f"nor continual.splits is given, got {value}"
            )


def splits(continual: ContinualConfig, num_classes: int) -> Splits:
    """The labels of each task.

    Args:
      continual: the section, which asks for tasks.
      num_classes: of the data.

    Raises:
      UserError: the classes cannot be divided so.
    """
    if len(continual.splits):
        found = tuple(tuple(map(int, split)) for split in continual.splits)
        _check_splits(found, num_classes)
        return found
    size = continual.classes_per_task
    if num_classes % size or num_classes == size:
        raise UserError(
            f"continual.classes_per_task must divide the {num_classes} classes into at "
            f"least two tasks, got {size}"
        )
    order = np.arange(num_classes)
    if continual.order_seed:
        order = np.random.default_rng(continual.order_seed).permutation(num_classes)
    return tuple(tuple(map(int, part)) for part in order.reshape(-1, size))


def _check_splits(found: Splits, num_classes: int) -> None:
    labels = [label for split in found for label in split]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    unknown = sorted({label for label in labels if not 0 <= label < num_classes})
    missing = sorted(set(range(num_classes)) - set(labels))
    problems = {
        "names twice": twice, f"does not find among {num_classes} classes": unknown,
        "leaves out": missing,
    }  # fmt: skip
    for what, wrong in problems.items():
        if wrong:
            raise UserError(
                "continual.splits must name each class once; it "
                f"{what} {', '.join(map(str, wrong))}"
            )
    if len(found) < 2 or not all(found):
        sizes = [len(split) for split in found]
        raise UserError(
            "continual.splits must have at least two tasks, each of one class or more; "
            f"got {len(found)} of {sizes} classes"
        )


def seen(continual: ContinualConfig, num_classes: int) -> tuple[int, ...] | None:
    """The labels of the task and of those before it, in rising order.

    None: the run is no task, and knows all classes.
    """
    if not continual.task:
        return None
    return _until(continual, num_classes, continual.task)


def seen_before(continual: ContinualConfig, num_classes: int) -> tuple[int, ...] | None:
    """The labels of the tasks before the run's own, in rising order; None: no task."""
    if not continual.task:
        return None
    return _until(continual, num_classes, continual.task - 1)


def _until(continual: ContinualConfig, num_classes: int, task: int) -> tuple[int, ...]:
    parts = splits(continual, num_classes)
    if continual.task > len(parts):
        raise UserError(
            f"continual.task must be at most the {len(parts)} tasks, got "
            f"{continual.task}"
        )
    return tuple(sorted(label for part in parts[:task] for label in part))


def tasks_of_classes(continual: ContinualConfig, num_classes: int) -> np.ndarray:
    """`[C]`, the task of each class, from 1."""
    tasks = np.zeros(num_classes, np.int32)
    for task, split in enumerate(splits(continual, num_classes), 1):
        tasks[list(split)] = task
    return tasks


def of_task(data: DataSet, continual: ContinualConfig) -> DataSet:
    """The data set of the run's task; that of a run without tasks is as it was.

    Args:
      data: of all classes. What is held out of its training part is in no memory.
      continual: the section.

    Raises:
      UserError: a class lacks examples, or has fewer than the memory keeps.
    """
    known = seen(continual, data.num_classes)
    if known is None:
        return data
    before = seen_before(continual, data.num_classes) or ()
    own = sorted(set(known) - set(before))
    train = _examples_of(data.train, own, "training")
    test = _examples_of(data.test, known, "evaluated")
    return dataclasses.replace(
        data,
        train=part_of(data.train, train),
        test=part_of(data.test, test),
        memory=_memory(data.train, before, continual),
    )


def _examples_of(split: Split, labels: list[int] | tuple[int, ...], part: str):
    """The positions of all examples of some classes, `[N]`, in rising order."""
    counts = np.bincount(split.labels, minlength=max(labels) + 1)
    empty = [label for label in labels if not counts[label]]
    if empty:
        raise UserError(
            f"each class of a task needs {part} examples; class {empty[0]} has none"
        )
    return np.flatnonzero(np.isin(split.labels, labels))


def _memory(
    split: Split, labels: tuple[int, ...], continual: ContinualConfig
) -> Memory | None:
    """`continual.memory` examples of each class; those of a class never change.

    A larger memory holds all examples of a smaller one.
    """
    if not continual.memory or not labels:
        return None
    chosen = []
    for label in labels:
        members = np.flatnonzero(split.labels == label)
        if len(members) < continual.memory:
            raise UserError(
                f"continual.memory keeps {continual.memory} examples of each class, "
                f"but class {label} has {len(members)}"
            )
        rng = np.random.default_rng([continual.memory_seed, label])
        chosen.append(rng.permutation(members)[: continual.memory])
    kept = part_of(split, np.sort(np.concatenate(chosen)))
    return Memory(kept, continual.memory_share)
