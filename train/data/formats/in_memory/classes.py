"""How many classes a data set has: what is stated, or what its labels show.

Labels that show something unlikely, as a class without any example, are refused unless
`data.num_classes` states how many classes there are.
"""

import dataclasses

import numpy as np

from train.base import terminal
from train.base.config import DataConfig
from train.base.errors import UserError
from train.data.splits import DataSet, InMemory

SHOWN = 3  # classes that a message lists


def settle(data: DataSet, data_config: DataConfig) -> DataSet:
    """The data set, with the number of its classes checked, or as it is stated.

    A source that names its classes, or whose examples are not in memory, knows the
    number itself.

    Raises:
      UserError: the labels and the number contradict each other; or no number is
        stated, and the labels do not show one beyond doubt.
    """
    source, stated = data_config.source, data_config.num_classes
    train, test = data.train, data.test
    known = data.num_classes if data.class_names is None else len(data.class_names)
    in_memory = isinstance(train, InMemory) and isinstance(test, InMemory)
    if not in_memory or data.class_names is not None:
        if stated not in (0, known):
            raise UserError(
                f"data.num_classes must be 0 or {known} for {source}, which has "
                f"{known} classes, got {stated}"
            )
        if known < 2 and not stated:
            raise UserError(f"{source}: two classes or more are needed, got {known}")
    if not in_memory:
        return data
    parts = {"train": np.unique(train.labels), "test": np.unique(test.labels)}
    if stated or data.class_names is not None:
        _check_below(stated or known, data, source)
        _warn_of_unseen(stated or known, parts, source)
    else:
        _check_all_shown(parts, data, source)
    return dataclasses.replace(data, num_classes=stated or known)


def _check_below(num_classes: int, data: DataSet, source: str) -> None:
    for part, split in (("train", data.train), ("test", data.test)):
        labels = split.labels
        if labels.max() >= num_classes:
            raise UserError(
                f"{source} ({part}): labels must be below the number of classes, "
                f"{num_classes}, got {labels.max()} (example {labels.argmax()})"
            )


def _warn_of_unseen(
    num_classes: int, parts: dict[str, np.ndarray], source: str
) -> None:
    unseen = np.setdiff1d(parts["test"], parts["train"])
    if unseen.size:
        terminal.warn(
            f"{source}: there are examples to test on, but none to train on, of "
            f"{_listed(unseen)} of {num_classes}"
        )


def _check_all_shown(parts: dict[str, np.ndarray], data: DataSet, source: str) -> None:
    """Raises `UserError` unless the labels are 0 to C - 1, all of them trained on."""
    present = np.union1d(*parts.values())
    count, largest = len(present), int(present[-1])
    if count == 1:
        raise UserError(
            f"{source}: two classes or more are needed, but all labels are {largest}; "
            "data.num_classes says how many there are if others have no examples here"
        )
    if present[0] == 1 and largest == count:
        raise UserError(
            f"{source}: labels must start at 0, got 1 to {largest}: subtract 1 from "
            f"them, or if class 0 has no examples here, set data.num_classes="
            f"{largest + 1}"
        )
    if largest != count - 1:
        part = "train" if data.train.labels.max() == largest else "test"
        labels = (data.test if part == "test" else data.train).labels
        # The first classes that are missing are among the first count + SHOWN numbers.
        missing = np.setdiff1d(np.arange(min(largest, count + SHOWN)), present)
        raise UserError(
            f"{source}: labels must be 0 to C - 1, but of 0 to {largest} (example "
            f"{labels.argmax()} of the {part} part) no example has "
            f"{_listed(missing, largest + 1 - count)}: number the classes anew, as "
            "np.searchsorted(np.unique(y_train), y) does, or if classes have no "
            "examples here, set data.num_classes to their number"
        )
    unseen = np.setdiff1d(parts["test"], parts["train"])
    if unseen.size:
        raise UserError(
            f"{source}: the test part has {_listed(unseen)}, of which there is no "
            "training example: leave these examples out, or if that is meant, set "
            f"data.num_classes={count}"
        )


def _listed(classes: np.ndarray, count: int | None = None) -> str:
    """The first classes, and how many more there are of `count`."""
    count = len(classes) if count is None else count
    first = ", ".join(map(str, classes[:SHOWN].tolist()))
    more = f" and {count - SHOWN} more" if count > SHOWN else ""
    return f"class{'es' * (count > 1)} {first}{more}"
