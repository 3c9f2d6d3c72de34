"""The registry of data sources: every one that is imported here.

All give uint8 images `[N, H, W, K]` and integer labels. A new source is a file in
`formats/` that defines a `Source`, and a line here that imports it.
"""
# ruff: noqa: F401

import dataclasses

from ikl_jax import checks
from train.base import registry
from train.base.config import DataConfig
from train.base.errors import UserError, explained
from train.data.formats.cifar import CIFAR10_SOURCE, CIFAR100_SOURCE
from train.data.formats.digits import DIGITS_SOURCE
from train.data.formats.encoded import Encoded
from train.data.formats.folder import FOLDER_SOURCE
from train.data.formats.idx import IDX_SOURCE
from train.data.formats.in_memory import classes
from train.data.formats.npz import NPZ_SOURCE
from train.data.formats.tfds import TFDS_SOURCE
from train.data.splits import DataSet, Source, originals
from train.data.subsets import few_labels, held_out, long_tail, train_list

# What `data.source` can begin with.
SOURCES: dict[str, Source] = registry.by_name(globals(), Source)


def open_source(data_config: DataConfig) -> DataSet:
    """The data set that `data.source` names, reduced to the examples asked for.

    In this order: `data.train_list` keeps the training examples that it lists,
    `data.validation_size` holds some out, `data.imbalance_ratio` makes the rest
    long-tailed, and `data.num_labels` or `data.label_list` leaves labels to a few.

    Raises:
      UserError: the source is unknown, missing, damaged or too small.
    """
    data = classes.settle(_opened(data_config), data_config)
    if data_config.image_size and not isinstance(data.train, Encoded):
        raise UserError(
            f"data.image_size is for encoded images of any size; those of "
            f"{data_config.source} are all {data.image_shape}: it must be 0, got "
            f"{data_config.image_size}"
        )
    if path := data_config.train_list:
        train = train_list.select(data.train, path, data.class_names)
        data = dataclasses.replace(data, train=train)
    listed = few_labels.listed(data, data_config)
    labelled = originals(data.train)[listed]
    data = held_out.hold_out(data, data_config, kept=listed)
    if (ratio := data_config.imbalance_ratio) != 1:
        train = long_tail.long_tailed(data.train, data.num_classes, ratio)
        data = dataclasses.replace(data, train=train)
    if few_labels.are_asked_for(data_config):
        data = few_labels.reduced(data, data_config, labelled)
    return data


def _opened(data_config: DataConfig) -> DataSet:
    name, _, argument = data_config.source.partition(":")
    with explained():
        checks.one_of("data.source", name, SOURCES)
    source = SOURCES[name]
    if source.argument and not argument:
        raise UserError(
            f"data.source={name} needs what to read: {name}:{source.argument}"
        )
    if argument and not source.argument:
        raise UserError(f"the source {name} takes no argument, got {argument!r}")
    return source.open(argument, data_config)
