"""How far confidences are from accuracies: pure functions on logits and labels.

The confidence of an example is the largest of its predicted probabilities.

References: Guo et al., "On Calibration of Modern Neural Networks",
https://arxiv.org/abs/1706.04599, 2017 (the error and the diagram); Nguyen and O'Connor,
"Posterior calibration and exploratory analysis for natural language processing models",
https://arxiv.org/abs/1508.05154, 2015 (bins of equal mass).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.special import log_softmax, softmax

from train.evaluation.measures.arrays import checked

LEVEL = 0.95  # of the bootstrap interval


class Calibrated(NamedTuple):
    """What is compared: for each of N examples.

    Attributes:
      confidence: `[N]`, the largest predicted probability.
      correct: `[N]`, whether the label is predicted.
    """

    confidence: np.ndarray
    correct: np.ndarray


def confidences(logits: np.ndarray, labels: np.ndarray) -> Calibrated:
    """The confidence of each example of logits `[N, C]`, and whether it is right."""
    logits, labels = checked(logits, labels)
    largest = softmax(logits, axis=1).max(axis=1)
    return Calibrated(largest, logits.argmax(axis=1) == labels)


def negative_log_likelihood(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """`[N]`, in nats."""
    logits, labels = checked(logits, labels)
    return -log_softmax(logits, axis=1)[np.arange(len(labels)), labels]


def brier_score(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """`[N]` from 0 to 2, the squared errors of the probabilities, summed over classes.

    Some divide this sum by 2 or by the number of classes; it is not divided here.
    """
    logits, labels = checked(logits, labels)
    truth = np.eye(logits.shape[1])[labels]
    return ((softmax(logits, axis=1) - truth) ** 2).sum(axis=1)


def equal_width(confidence: np.ndarray, bins: int) -> np.ndarray:
    """`[N]`, the bin of each example: bin k holds confidences in (k/M, (k + 1)/M].

    >>> equal_width(np.array([0.05, 0.5, 0.51, 1.0]), 10)
    array([0, 4, 5, 9])
    """
    return np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], confidence, side="left")


def equal_mass(confidence: np.ndarray, bins: int) -> np.ndarray:
    """`[N]`, the bin of each example: in the order of confidence, N/M examples a bin.

    Examples of the same confidence share a bin, so the order of examples is of no
    importance.

    >>> equal_mass(np.array([0.9, 0.3, 0.5, 0.4]), 2), equal_mass(np.ones(4), 2)
    (array([1, 0, 1, 0]), array([0, 0, 0, 0]))
    """
    rank = np.searchsorted(np.sort(confidence), confidence, side="left")
    return rank * bins // len(confidence)


BINNINGS: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "equal_width": equal_width,
    "equal_mass": equal_mass,
}


def expected_calibration_error(
    calibrated: Calibrated, bin_of: np.ndarray, bins: int
) -> float:
    """The mean over examples of |accuracy - confidence| of their bins, from 0 to 1.

    Args:
      calibrated: N examples.
      bin_of: `[N]`, the bin of each.
      bins: how many there are.
    """
    gap = calibrated.confidence - calibrated.correct
    sums = np.bincount(bin_of, weights=gap, minlength=bins)
    return float(np.abs(sums).sum() / len(gap))


def bootstrap_interval(
    calibrated: Calibrated, bin_of: np.ndarray, bins: int, *, resamples: int, seed: int
) -> tuple[float, float]:
    """The percentile interval of the error when examples are drawn again.

    The edges of the bins stay those of the whole sample. The error of a resample is
    larger than that of the sample on average, as |noise| does not cancel: an interval
    may lie above a small error.
    """
    rng, count = np.random.default_rng(seed), len(bin_of)
    drawn = (rng.integers(0, count, count) for _ in range(resamples))
    errors = [
        expected_calibration_error(
            Calibrated(calibrated.confidence[rows], calibrated.correct[rows]),
            bin_of[rows], bins,
        )
        for rows in drawn
    ]  # fmt: skip
    low, high = np.quantile(errors, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def reliability(
    calibrated: Calibrated, bin_of: np.ndarray, bins: int
) -> list[dict[str, Any]]:
    """The reliability diagram: for each bin its examples, confidence and accuracy.

    The means of a bin without examples are None.
    """
    counts = np.bincount(bin_of, minlength=bins)
    means = [
        np.bincount(bin_of, weights=of, minlength=bins) / np.maximum(counts, 1)
        for of in calibrated
    ]
    return [
        {
            "count": int(count),
            "confidence": float(confidence) if count else None,
            "accuracy": float(accuracy) if count else None,
        }
        for count, confidence, accuracy in zip(counts, *means, strict=True)
    ]
