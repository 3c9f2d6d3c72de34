"""The form of a measure."""

from collections.abc import Callable
from typing import Any

from train.base.config import Config
from train.data.splits import DataSet
from train.evaluation.predictions import Predictions

# Fields of a JSON object, which a measure adds to a record.
Fields = dict[str, Any]
Measure = Callable[[Predictions, DataSet, Config], Fields]
