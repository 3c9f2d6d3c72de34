"""Keeps the labels of a few training examples; the others become unlabelled."""

import dataclasses

import numpy as np

from train.base.config import DataConfig
from train.base.errors import UserError
from train.data.splits import DataSet, Split, originals, part_of
from train.data.subsets import train_list

NOTHING = np.empty(0, np.int64)


def are_asked_for(data_config: DataConfig) -> bool:
    """Whether the config says which training examples are labelled."""
    return bool(data_config.num_labels or data_config.label_list)


def listed(data: DataSet, data_config: DataConfig) -> np.ndarray:
    """Positions in the training part of what `data.label_list` lists; none without it.

    Raises:
      UserError: the file cannot be read, or lists what it must not.
    """
    if not (path := data_config.label_list):
        return NOTHING
    return train_list.positions(data.train, "data.label_list", path, data.class_names)


def reduced(data: DataSet, data_config: DataConfig, labelled: np.ndarray) -> DataSet:
    """The data set with labelled examples as its training part, and unlabelled ones.

    Args:
      data: of which all training examples are labelled.
      data_config: the `data` section; says how many are labelled if none are listed.
      labelled: those that are listed, as `originals` counts them.

    Raises:
      UserError: there are not enough examples, or none is left without a label.
    """
    train = data.train
    if len(labelled):
        chosen = np.flatnonzero(np.isin(originals(train), labelled))
    else:
        chosen = balanced(train, data.num_classes, data_config)
    unlabelled = train
    if data_config.unlabelled == "others":
        others = np.setdiff1d(np.arange(len(train)), chosen)
        if not len(others):
            raise UserError(
                "data.unlabelled=others leaves no unlabelled example: all "
                f"{len(train)} training examples are labelled"
            )
        unlabelled = part_of(train, others)
    return dataclasses.replace(
        data, train=part_of(train, chosen), unlabelled=unlabelled
    )


def without_labels(data: DataSet) -> Split | None:
    """The examples to train on that have no label; None where all have one."""
    if data.unlabelled is None:
        return None
    labelled = np.isin(originals(data.unlabelled), originals(data.train))
    return part_of(data.unlabelled, np.flatnonzero(~labelled))


def balanced(split: Split, num_classes: int, data_config: DataConfig) -> np.ndarray:
    """Positions of `data.num_labels` examples, as many of each class, in rising order.

    Raises:
      UserError: the number is not a multiple of the number of classes, or a class has
        too few examples.
    """
    count, labels = data_config.num_labels, split.labels
    if count > len(labels):
        raise UserError(
            f"data.num_labels must be at most the {len(labels)} training examples, got "
            f"{count}"
        )
    each, rest = divmod(count, num_classes)
    if rest or not each:
        raise UserError(
            f"data.num_labels must be a multiple of the {num_classes} classes, each of "
            f"which gets as many labels, got {count}"
        )
    rng = np.random.default_rng(data_config.label_seed)
    order = rng.permutation(len(labels))
    chosen = [order[labels[order] == label][:each] for label in range(num_classes)]
    for label, members in enumerate(chosen):
        if len(members) < each:
            raise UserError(
                f"data.num_labels={count} takes {each} examples of each class, but "
                f"class {label} has {len(members)}"
            )
    return np.sort(np.concatenate(chosen))
