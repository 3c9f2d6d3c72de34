"""Accuracy under corruptions, mCE and relative mCE, from arrays alone.

Reference: Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common
Corruptions and Perturbations", https://arxiv.org/abs/1903.12261, 2019, section 3.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np


class Baseline(NamedTuple):
    """The errors of another network, by which a network's own are divided.

    Attributes:
      name: of the network, for people.
      errors: by corruption, the mean over the severities, in [0, 1].
      natural_error: on the images as they are, in [0, 1]; None: not known.
    """

    name: str
    errors: Mapping[str, float]
    natural_error: float | None


def found(
    correct: np.ndarray,
    natural: np.ndarray,
    names: Sequence[str],
    averaged: Sequence[str],
    baseline: Baseline | None = None,
) -> dict[str, Any]:
    """All numbers about corruptions, as a record has them.

    mCE is the mean over corruptions of the error, summed over severities, divided by
    that of the baseline. The relative mCE takes away from both the errors on the images
    as they are, so it says how much a network loses rather than how good it is.

    >>> correct = np.array([[[True, False], [False, False]]])  # of 2 severities
    >>> baseline = Baseline("other", {"fog": 0.5}, 0.25)
    >>> numbers = found(correct, np.array([True, True]), ["fog"], ["fog"], baseline)
    >>> numbers["accuracy"], numbers["mean_accuracy"]
    ({'fog': [0.5, 0.0]}, 0.25)
    >>> numbers["mce"], numbers["relative_mce"]
    (1.5, 3.0)

    Args:
      correct: `[C, S, N]`, whether the label is predicted for each example under each
        corruption at each severity.
      natural: `[N]`, whether it is for the examples as they are.
      names: of the C corruptions.
      averaged: those that the means are over.
      baseline: None: there are no corruption errors.
    """
    accuracies = correct.mean(axis=2)
    rows = [names.index(name) for name in averaged]
    result: dict[str, Any] = {
        "accuracy": {
            name: [float(value) for value in row]
            for name, row in zip(names, accuracies, strict=True)
        },
        "averaged_over": list(averaged),
        "mean_accuracy": float(accuracies[rows].mean()),
        "mean_accuracy_by_severity": [float(v) for v in accuracies[rows].mean(axis=0)],
    }
    errors = dict(zip(names, 1 - accuracies.mean(axis=1), strict=True))
    absolute, relative = _corruption_errors(errors, 1 - natural.mean(), baseline)
    for prefix, ratios in (("", absolute), ("relative_", relative)):
        result[f"{prefix}mce"] = _mean([ratios.get(name) for name in averaged])
        result[f"{prefix}corruption_error"] = ratios
    return result


def _corruption_errors(
    errors: Mapping[str, float], natural_error: float, baseline: Baseline | None
) -> tuple[dict[str, float | None], dict[str, float | None]]:
    """The errors by corruption, divided by the baseline's: as they are, and relative.

    None where the baseline's error is not known, or is zero.
    """
    absolute: dict[str, float | None] = {}
    relative: dict[str, float | None] = {}
    if baseline is None:
        return absolute, relative
    for name, error in errors.items():
        other, start = baseline.errors.get(name), baseline.natural_error
        absolute[name] = None if other is None else _ratio(error, other)
        relative[name] = None
        if other is not None and start is not None:
            relative[name] = _ratio(error - natural_error, other - start)
    return absolute, relative


def _ratio(value: float, other: float) -> float | None:
    return None if other == 0 else float(value / other)


def _mean(values: Sequence[float | None]) -> float | None:
    """None if one of them is, or there are none."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known and len(known) == len(values) else None
