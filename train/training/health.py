"""Metrics of steps as numbers, and the stop of a run that is not finite any more."""

import math
from typing import Any, NoReturn

import jax
import numpy as np

from train.base.errors import UserError
from train.experiment.checkpoint import Checkpoints
from train.recipes.recipe import Metrics

NOT_FINITE = "not finite at step"  # what is said of a run that is stopped for it


def fetched(pending: list[Metrics]) -> list[dict[str, Any]]:
    """The metrics of several steps, copied from the devices."""
    return jax.tree.map(float, jax.device_get(pending))


def means(pending: list[Metrics]) -> dict[str, float]:
    """The mean of each metric over one step or more; a share of nothing is left out."""
    steps = fetched(pending)
    found = {name: _mean([metrics[name] for metrics in steps]) for name in steps[0]}
    return {name: mean for name, mean in found.items() if mean is not None}


def _mean(values: list[Any]) -> float | None:
    """Of numbers, or of `Share`s, which are lists once a checkpoint has kept them."""
    if not isinstance(values[0], (tuple, list)):
        return float(np.mean(values))
    part, whole = np.sum(values, axis=0)
    return float(part / whole) if whole else None


def check_finite(
    metrics: dict[str, float], step: int, checkpoints: Checkpoints
) -> None:
    """Raises `UserError` if a metric is not finite; the message says what is saved."""
    if not all(math.isfinite(value) for value in metrics.values()):
        stop("a metric is", metrics, step, checkpoints)


def stop(
    what: str, metrics: dict[str, float], step: int, checkpoints: Checkpoints
) -> NoReturn:
    """Raises `UserError`, which says what is not finite and where to look."""
    values = ", ".join(f"{name} {value:g}" for name, value in metrics.items())
    steps = checkpoints.steps()
    saved = f"step {steps[-1]} is saved" if steps else "nothing is saved yet"
    raise UserError(
        f"{what} {NOT_FINITE} {step} {f'({values})' if values else ''}; {saved}. "
        "Look at optimizer.learning_rate (too high?), loss.strength, loss.alpha, "
        "awp.gamma and the images and labels around that step"
    )
