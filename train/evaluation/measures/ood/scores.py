"""Scores that are higher where an example is more like the training data.

References: Hendrycks and Gimpel, https://arxiv.org/abs/1610.02136, 2017 (maximum
probability); Hendrycks et al., "Scaling Out-of-Distribution Detection for Real-World
Settings", https://arxiv.org/abs/1911.11132, 2022 (maximum logit); Liu et al.,
"Energy-based Out-of-distribution Detection", https://arxiv.org/abs/2010.03759, 2020;
Lee et al., "A Simple Unified Framework for Detecting Out-of-Distribution Samples and
Adversarial Attacks", https://arxiv.org/abs/1807.03888, 2018 (Mahalanobis).
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, solve_triangular
from scipy.special import logsumexp, softmax

CHUNK = 4096  # examples whose distances are computed at a time


def maximum_probability(logits: np.ndarray) -> np.ndarray:
    """`[N]` of logits `[N, C]`: the largest predicted probability."""
    return softmax(np.asarray(logits, np.float64), axis=1).max(axis=1)


def maximum_logit(logits: np.ndarray) -> np.ndarray:
    """`[N]` of logits `[N, C]`: the largest logit."""
    return np.asarray(logits, np.float64).max(axis=1)


def energy(logits: np.ndarray) -> np.ndarray:
    """`[N]` of logits `[N, C]`: minus the energy at temperature 1, log Σ exp."""
    return np.asarray(logsumexp(np.asarray(logits, np.float64), axis=1))


OF_LOGITS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "maximum_probability": maximum_probability,
    "maximum_logit": maximum_logit,
    "energy": energy,
}


class Gaussians(NamedTuple):
    """A normal distribution of the features of each class, with one covariance.

    Attributes:
      means: `[K, F]`, of the K classes that have examples.
      covariance: `[F, F]`, within the classes, the mean over all examples.
      examples: how many they were estimated from.
    """

    means: np.ndarray
    covariance: np.ndarray
    examples: int


def fit_gaussians(
    parts: Iterable[tuple[np.ndarray, np.ndarray]], num_classes: int
) -> Gaussians:
    """The distributions of examples that come in parts, of which none is kept.

    Args:
      parts: features `[B, F]` and labels `[B]`.
      num_classes: C; a class without examples is left out.

    Raises:
      ValueError: there are no examples, or no feature differs within a class.
    """
    counts, sums, squares = np.zeros(num_classes), np.zeros(()), np.zeros(())
    for features, labels in parts:
        features = np.asarray(features, np.float64)
        part = np.zeros((num_classes, features.shape[1]))
        np.add.at(part, labels, features)
        counts = counts + np.bincount(labels, minlength=num_classes)
        sums, squares = sums + part, squares + features.T @ features
    if not counts.sum():
        raise ValueError("there are no examples to estimate class means from")
    there = counts > 0
    means = sums[there] / counts[there, None]
    between = (means * counts[there, None]).T @ means
    covariance = (squares - between) / counts.sum()
    if not np.trace(covariance) > 1e-12 * np.trace(squares) / counts.sum():
        raise ValueError("no feature differs within a class: there is no covariance")
    return Gaussians(means, covariance, int(counts.sum()))


def mahalanobis(
    features: np.ndarray, gaussians: Gaussians, shrinkage: float
) -> np.ndarray:
    """`[N]`: minus the squared Mahalanobis distance to the nearest class mean.

    Args:
      features: `[N, F]`.
      gaussians: of the training examples.
      shrinkage: s in [0, 1] of the covariance S, which becomes
        (1 - s) S + s · trace(S)/F · I, so that it has an inverse.

    Raises:
      ValueError: the covariance has no inverse.
    """
    covariance = gaussians.covariance
    size = len(covariance)
    spread = np.trace(covariance) / size * np.eye(size)
    shrunk = (1 - shrinkage) * covariance + shrinkage * spread
    try:
        factor, _ = cho_factor(shrunk, lower=True)
    except np.linalg.LinAlgError:
        raise ValueError(
            f"the covariance of the features has no inverse: shrinkage must be larger, "
            f"got {shrinkage:g}"
        ) from None
    whiten = lambda x: solve_triangular(factor, x.T, lower=True).T
    means = whiten(gaussians.means)

    def nearest(x: np.ndarray) -> np.ndarray:
        x = whiten(np.asarray(x, np.float64))
        squared = (means**2).sum(axis=1) - 2 * x @ means.T
        return squared.min(axis=1) + (x**2).sum(axis=1)

    parts = [features[i : i + CHUNK] for i in range(0, len(features), CHUNK)]
    return -np.maximum(np.concatenate([nearest(part) for part in parts]), 0.0)
