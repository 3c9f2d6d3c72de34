"""Data sets by name; see `SOURCES`.

All give uint8 images `[N, H, W, K]` and integer labels. A new source is a function
and a line in `SOURCES`.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from ikl_jax import checks
from train.base.config import DataConfig
from train.base.errors import UserError, explained
from train.data.formats import arrays, cifar, folder, tfds
from train.data.formats.encoded import Encoded
from train.data.splits import DataSet, part_of
from train.data.subsets import listed, long_tail


def open_source(config: DataConfig) -> DataSet:
    """The data set that `config` names, its validation part split off.

    A list of what to train on counts before that, as if the source held no more; what
    is left to train on is then made long-tailed, if that is asked for.

    Raises:
      UserError: the source is unknown, missing, damaged or too small.
    """
    name, _, argument = config.source.partition(":")
    with explained():
        checks.one_of("data.source", name, SOURCES)
    if not argument and name != "digits":
        raise UserError(f"data.source={name} needs what to read: {name}:NAME or PATH")
    data = SOURCES[name](argument, config)
    if config.image_size and not isinstance(data.train, Encoded):
        raise UserError(
            f"data.image_size is for encoded images of any size; those of "
            f"{config.source} are all {data.image_shape}: it must be 0, got "
            f"{config.image_size}"
        )
    if config.train_list:
        train = listed.listed(data.train, config.train_list, data.class_names)
        data = dataclasses.replace(data, train=train)
    data = _hold_out(data, config)
    ratio = config.imbalance_ratio
    if ratio == 1:
        return data
    tailed = long_tail.long_tailed(data.train, data.num_classes, ratio)
    return dataclasses.replace(data, train=tailed)


def _hold_out(data: DataSet, config: DataConfig) -> DataSet:
    size = config.validation_size
    if not size:
        return data
    if size >= len(data.train):
        raise UserError(
            f"data.validation_size must be below the {len(data.train)} training "
            f"examples, got {size}"
        )
    order = np.random.default_rng(0).permutation(len(data.train))
    held_out, rest = np.sort(order[:size]), np.sort(order[size:])
    evaluated = data.test
    if config.evaluate_on == "validation":
        evaluated = part_of(data.train, held_out)
    train = part_of(data.train, rest)
    return dataclasses.replace(data, train=train, test=evaluated)


SOURCES: dict[str, Callable[[str, DataConfig], DataSet]] = {
    "cifar10": cifar.open_cifar10,
    "cifar100": cifar.open_cifar100,
    "digits": arrays.open_digits,
    "folder": folder.open_folder,
    "idx": arrays.open_idx,
    "npz": arrays.open_npz,
    "tfds": tfds.open_tfds,
}
