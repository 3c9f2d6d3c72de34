"""The accuracies that `result.json` and `evaluation.json` hold."""

from typing import Any

from train.base.config import Config
from train.data.splits import DataSet
from train.evaluation.measures import shots
from train.evaluation.pgd import PgdAttack
from train.evaluation.predictions import Predictions


def summary(
    config: Config, data: DataSet, predictions: Predictions, attack: PgdAttack
) -> dict[str, Any]:
    """Accuracies of predictions, with epsilon and norm where an attack was made."""
    robust = predictions.robust_accuracy
    attacked = robust is not None
    found: dict[str, Any] = {
        "evaluated_on": config.data.evaluate_on,
        "num_examples": len(predictions.natural),
    }
    if attacked:
        found |= {"epsilon": attack.epsilon, "norm": attack.norm}
    found |= {
        "natural_accuracy": predictions.natural_accuracy,
        "robust_accuracy": {attack.name: robust} if attacked else {},
    }
    if config.data.imbalance_ratio == 1 and not config.data.train_list:
        return found  # labels may lie on disk, and reading all of them takes long
    by_shots = shots.accuracies(predictions, data, config.evaluation.shots)
    return found | ({"accuracy_by_shots": by_shots} if by_shots else {})
