"""What `result.json` holds."""

import platform

import flax
import jax

import ikl_jax
from train import processes
from train.evaluation import Threat, Verdict
from train.run import Run


def of(run: Run, verdict: Verdict, *, weights: str, seconds: float) -> dict:
    """Of a finished run, whose averaged or last `weights` have that verdict."""
    config, threat = run.config, Threat.of(run.config)
    return {
        "config": config.name,
        "dataset": config.data.source,
        "evaluated_on": config.data.evaluate_on,
        "num_examples": len(verdict.natural),
        "weights": weights,
        "epochs": config.epochs,
        "steps": run.total_steps,
        "seconds": round(seconds, 2),
        "epsilon": threat.epsilon,
        "norm": threat.norm,
        "natural_accuracy": verdict.natural_accuracy,
        "robust_accuracy": {threat.name: verdict.robust_accuracy},
        **_undecodable(run),
        "versions": {
            "python": platform.python_version(),
            "jax": jax.__version__,
            "flax": flax.__version__,
            "ikl_jax": ikl_jax.__version__,
        },
    }


def _undecodable(run: Run) -> dict[str, int]:
    """How many different training images any process has replaced since its start."""
    if run.data.replaced is None:
        return {}
    count = int(processes.anywhere(run.data.replaced.mask()).sum())
    return {"undecodable": count} if count else {}
