"""A validation part, held out of the training part."""

import dataclasses

import numpy as np

from train.base.config import DataConfig
from train.base.errors import UserError
from train.data.splits import DataSet, part_of


def hold_out(data: DataSet, data_config: DataConfig) -> DataSet:
    """The data set without `data.validation_size` of its training examples.

    With `data.evaluate_on=validation` these examples replace the test part. Which
    examples are held out does not depend on the run's seed.

    Raises:
      UserError: no training example would be left.
    """
    size = data_config.validation_size
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
    if data_config.evaluate_on == "validation":
        evaluated = part_of(data.train, held_out)
    train = part_of(data.train, rest)
    return dataclasses.replace(data, train=train, test=evaluated)
