"""Metrics of steps as numbers, and the stop of a run that is not finite any more."""

import math
from typing import NoReturn

import jax
import numpy as np

from train.base.errors import UserError
from train.experiment.checkpoint import Checkpoints
from train.recipes.recipe import Metrics


def fetched(pending: list[Metrics]) -> list[dict[str, float]]:
    """The metrics of several steps, copied from the devices."""
    return jax.tree.map(float, jax.device_get(pending))


def means(pending: list[Metrics]) -> dict[str, float]:
    """The mean of each metric over one step or more."""
    values = fetched(pending)
    return {
        name: float(np.mean([metrics[name] for metrics in values]))
        for name in values[0]
    }


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
        f"{what} not finite at step {step} {f'({values})' if values else ''}; {saved}. "
        "Look at optimizer.learning_rate (too high?), loss.strength, loss.alpha, "
        "awp.gamma and the images and labels around that step"
    )
