"""What `result.json` holds."""

import platform
from typing import Any

import flax
import jax

import ikl_jax
from train.devices import processes
from train.evaluation.measures.summary import summary
from train.evaluation.pgd import PgdAttack
from train.evaluation.predictions import Predictions
from train.experiment.run import Run


def of(run: Run, predictions: Predictions, *, weights: str, seconds: float) -> dict:
    """The result of a finished run.

    Args:
      run: that has finished.
      predictions: of the weights that the run is judged by.
      weights: which these are, "last" or "averaged".
      seconds: that training took.
    """
    config = run.config
    return {
        "config": config.name,
        "dataset": config.data.source,
        "weights": weights,
        "epochs": config.epochs,
        "steps": run.total_steps,
        "seconds": round(seconds, 2),
        **summary(config, run.data, predictions, PgdAttack.of(config)),
        **_synthetic(run),
        **_undecodable(run),
        "versions": {
            "python": platform.python_version(),
            "jax": jax.__version__,
            "flax": flax.__version__,
            "ikl_jax": ikl_jax.__version__,
        },
    }


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
