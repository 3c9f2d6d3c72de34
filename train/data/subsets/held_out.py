"""A validation part, held out of the training part."""

import dataclasses

import numpy as np

from train.base.config import DataConfig
from train.base.errors import UserError
from train.data.splits import DataSet, part_of


def hold_out(data: DataSet, data_config: DataConfig, kept: np.ndarray) -> DataSet:
    """The data set without `data.validation_size` of its training examples.

    With `data.evaluate_on=validation` these examples replace the test part. Which
    examples are held out does not depend on the run's seed.

    Args:
      data: the whole data set.
      data_config: the `data` section.
      kept: positions of training examples that are never held out.

    Raises:
      UserError: no training example would be left.
    """
    size = data_config.validation_size
    if not size:
        return data
    count = len(data.train) - len(kept)
    if size >= count:
        others = " that data.label_list does not list" if len(kept) else ""
        raise UserError(
            f"data.validation_size must be below the {count} training "
            f"examples{others}, got {size}"
        )
    order = np.random.default_rng(0).permutation(len(data.train))
    held_out = np.sort(order[~np.isin(order, kept)][:size])
    rest = np.setdiff1d(order, held_out)
    evaluated = data.test
    if data_config.evaluate_on == "validation":
        evaluated = part_of(data.train, held_out)
    train = part_of(data.train, rest)
    return dataclasses.replace(data, train=train, test=evaluated)
