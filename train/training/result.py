"""What `result.json` holds."""

import platform
from typing import Any

import flax
import jax

import ikl_jax
from train.data import fingerprint
from train.devices import processes
from train.evaluation.batch_attack import PgdAttack, attack_arguments
from train.evaluation.pgd import robust_accuracy
from train.evaluation.predictions import Predictions
from train.evaluation.summaries import summarized
from train.evaluation.target import exif_rotations
from train.experiment.run import Run


def of(
    run: Run,
    predictions: Predictions,
    *,
    weights: str,
    checksum: str,
    initial_weights: str,
    seconds: float,
) -> dict[str, Any]:
    """The result of a finished run.

    Args:
      run: that has finished.
      predictions: of the weights that the run is judged by.
      weights: which these are, "last" or "averaged".
      checksum: of these weights.
      initial_weights: checksum of those that the config names; "" if it names none.
      seconds: that training took.
    """
    config = run.config
    return {
        "config": config.name,
        "dataset": config.data.source,
        "weights": weights,
        "weights_checksum": checksum,
        **_begun_from(config.model.initial_weights, initial_weights),
        "dtype": config.model.dtype,
        "epochs": config.epochs,
        "steps": run.total_steps,
        "seconds": round(seconds, 2),
        "data_fingerprint": fingerprint.of_split(run.data.test),
        "evaluated_on": config.data.evaluate_on,
        "num_examples": len(predictions.labels),
        **_attacked(run, predictions),
        **summarized(predictions, run.data, config),
        **_synthetic(run),
        **_undecodable(run),
        **exif_rotations(run.data),
        "versions": {
            "python": platform.python_version(),
            "jax": jax.__version__,
            "flax": flax.__version__,
            "ikl_jax": ikl_jax.__version__,
        },
    }


def _attacked(run: Run, predictions: Predictions) -> dict[str, Any]:
    """Robust accuracy, and if an attack was made, all that it depends on."""
    attack = PgdAttack.of(run.config)
    found = {"robust_accuracy": robust_accuracy(predictions, attack)}
    if not attack.restarts:
        return found
    arguments = attack_arguments(attack, run.config.seed)
    return {
        "epsilon": arguments.pop("epsilon"),
        "norm": arguments.pop("norm"),
        # Apart, since `steps` of a result are those of the training.
        "attack": arguments,
        **found,
    }


def _begun_from(named: str, checksum: str) -> dict[str, Any]:
    return {"initial_weights": {"path": named, "checksum": checksum}} if named else {}


def _synthetic(run: Run) -> dict[str, Any]:
    if run.data.synthetic is None:
        return {}
    images, ratio = len(run.data.synthetic), run.config.data.synthetic_ratio
    return {"synthetic": {"images": images, "ratio": ratio}}


def _undecodable(run: Run) -> dict[str, int]:
    """How many different training images any process has replaced since its start."""
    if run.data.replaced is None:
        return {}
    count = int(processes.anywhere(run.data.replaced.mask()).sum())
    return {"undecodable": count} if count else {}
