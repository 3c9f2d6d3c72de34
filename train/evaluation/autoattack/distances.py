"""How far the nearest misclassified inputs are, and images that an attack broke."""

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from rich.console import Console

import ikl_jax
from ikl_jax.attacks.common import geometry
from ikl_jax.attacks.ensemble.result import Result
from train.base.progress import ProgressPrinter
from train.devices import processes
from train.evaluation import shares
from train.evaluation.autoattack.attacked import Attacked
from train.evaluation.autoattack.remaining import CompileTime

TARGETS = 3  # classes that the search is made towards
CURVE_REACH, CURVE_POINTS = 2.0, 21  # of the curve in a record; reach in epsilons
IMAGES = 8  # that broke, in the per-example file


def nearest(attacked: Attacked, console: Console) -> np.ndarray:
    """`[N]` float32: the distances that FAB finds; each process searches a share."""
    count = len(attacked.labels)
    several = jax.process_count()
    rows_of = [shares.dealt(np.arange(count), each, several) for each in range(several)]
    part = attacked.part(rows_of[jax.process_index()])
    distance = np.zeros(0, np.float32)
    if len(part.labels):
        with CompileTime() as compiling:
            distance = ikl_jax.attacks.distances(
                part.logits_fn, part.x, part.labels, norm=part.norm, targets=TARGETS,
                batch_size=part.batch_size, sharding=part.sharding,
                report=_report(compiling, console),
            )  # fmt: skip
    processes.wait("distances")
    whole = np.zeros(count, np.float32)
    for rows, of_process in zip(rows_of, processes.gathered(distance), strict=True):
        whole[rows] = of_process
    return whole


def found(
    attacked: Attacked, nearest: np.ndarray, result: Result
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What the distances show.

    Returns:
      For the record: a curve of robust accuracy against epsilon. For the per-example
      file: the distances, and the first images that the attack broke.
    """
    distance = _at_most_as_attacked(nearest, attacked.x, result)
    epsilons = np.linspace(0.0, CURVE_REACH * result.epsilon, CURVE_POINTS)
    curve = {
        "epsilon": [round(float(epsilon), 6) for epsilon in epsilons],
        "robust_accuracy": [float(np.mean(distance > epsilon)) for epsilon in epsilons],
    }
    rows = np.flatnonzero((distance > 0) & ~result.robust)[:IMAGES]
    return {"curve": curve}, {
        "distance": distance, **_images(attacked, result, rows)
    }  # fmt: skip


def _report(compiling: CompileTime, console: Console) -> Callable[[float], None]:
    """Prints from time to time which share of the search is done."""
    printer, start = ProgressPrinter(console), time.monotonic()

    def report(share: float) -> None:
        worked = time.monotonic() - start - compiling.seconds
        text = f"distances  {100 * share:.0f}% done"
        printer.line(text, max(worked, 0.0) / share * (1 - share))

    return report


def _at_most_as_attacked(
    nearest: np.ndarray, x: np.ndarray, result: Result
) -> np.ndarray:
    """`[N]`: the smaller of FAB's distance and that of the adversarial example."""
    size = geometry.norm_named(result.norm).size
    flat = lambda array: np.asarray(array, np.float64).reshape(len(array), -1)
    within = np.minimum(size(flat(result.x_adv) - flat(x)), result.epsilon)
    return np.where(result.robust, nearest, np.minimum(nearest, within))


def _images(
    attacked: Attacked, result: Result, rows: np.ndarray
) -> dict[str, np.ndarray]:
    """The images at `rows` as they are and attacked, with their predictions."""
    if not len(rows):
        return {}
    x = attacked.x
    predict = jax.jit(lambda x: attacked.logits_fn(x).argmax(axis=-1))
    return {
        "image_index": rows,
        "image": x[rows],
        "image_adversarial": result.x_adv[rows],
        "image_predicted": np.asarray(predict(x[rows])),
        "image_predicted_adversarial": np.asarray(predict(result.x_adv[rows])),
    }
