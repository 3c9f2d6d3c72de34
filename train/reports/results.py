"""What `result.json` and `evaluation.json` hold."""

import platform
from typing import Any

import flax
import jax

import ikl_jax
from train.base.config import Config
from train.data.splits import DataSet
from train.devices import processes
from train.evaluation import shots
from train.evaluation.evaluation import Threat, Verdict
from train.experiment.run import Run


def of(run: Run, verdict: Verdict, *, weights: str, seconds: float) -> dict:
    """Of a finished run, whose averaged or last `weights` have that verdict."""
    config = run.config
    return {
        "config": config.name,
        "dataset": config.data.source,
        "weights": weights,
        "epochs": config.epochs,
        "steps": run.total_steps,
        "seconds": round(seconds, 2),
        **judged(config, run.data, verdict, Threat.of(config)),
        **_synthetic(run),
        **_undecodable(run),
        "versions": {
            "python": platform.python_version(),
            "jax": jax.__version__,
            "flax": flax.__version__,
            "ikl_jax": ikl_jax.__version__,
        },
    }


def judged(
    config: Config, data: DataSet, verdict: Verdict, threat: Threat
) -> dict[str, Any]:
    """A verdict on weights; without epsilon and norm where none attacked."""
    robust = verdict.robust_accuracy
    attacked = robust is not None
    told: dict[str, Any] = {
        "evaluated_on": config.data.evaluate_on,
        "num_examples": len(verdict.natural),
    }
    if attacked:
        told |= {"epsilon": threat.epsilon, "norm": threat.norm}
    told |= {
        "natural_accuracy": verdict.natural_accuracy,
        "robust_accuracy": {threat.name: robust} if attacked else {},
    }
    if config.data.imbalance_ratio == 1 and not config.data.train_list:
        return told  # labels may lie on disk, and reading all of them takes long
    by_shots = shots.accuracies(verdict, data, config.evaluation.shots)
    return told | ({"accuracy_by_shots": by_shots} if by_shots else {})


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
