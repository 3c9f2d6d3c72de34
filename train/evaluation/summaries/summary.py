"""The form of a summary."""

from collections.abc import Callable
from typing import Any, NamedTuple

from train.base.config import Config
from train.data.splits import DataSet
from train.evaluation.predictions import Predictions

# Fields of a JSON object, which a summary adds to a record.
Fields = dict[str, Any]


def _nothing(config: Config) -> Fields:
    return {}


def _never(config: Config) -> bool:
    return False


class Summary(NamedTuple):
    """A summary of predictions.

    Attributes:
      summarize: maps predictions, data and config to what it finds.
      arguments: the fields of the config that this depends on; empty where the summary
        does not apply.
      needs_logits: whether it looks at the logits, given the config.
    """

    summarize: Callable[[Predictions, DataSet, Config], Fields]
    arguments: Callable[[Config], Fields] = _nothing
    needs_logits: Callable[[Config], bool] = _never
