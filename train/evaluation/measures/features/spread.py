"""How close the features of a class are, and how far the classes are from each other.

Distances are Euclidean. The features are those of any network, `[N, F]`.
"""

from typing import NamedTuple

import numpy as np
from scipy.spatial import distance


class Spread(NamedTuple):
    """Distances within classes and between them.

    Attributes:
      within: mean distance of an example to the mean of its class.
      between: mean distance of the means of two different classes; NaN where there are
        fewer than two classes.
      within_by_class: `[C]`, `within` of each class; NaN for one without examples.
      nearest: share of the examples to which their own class's mean is the nearest.
    """

    within: float
    between: float
    within_by_class: np.ndarray
    nearest: float

    @property
    def ratio(self) -> float:
        """`within / between`: small where classes are compact and far apart."""
        return self.within / self.between if self.between else float("nan")


def class_means(
    features: np.ndarray, labels: np.ndarray, num_classes: int
) -> np.ndarray:
    """`[C, F]` float64, the mean feature of each class; NaN for one without examples.

    >>> print(class_means(np.array([[0.0, 2.0], [2.0, 4.0]]), np.array([1, 1]), 2))
    [[nan nan]
     [ 1.  3.]]
    """
    features, labels = _checked(features, labels)
    counts = np.bincount(labels, minlength=num_classes)
    sums = np.zeros((num_classes, features.shape[1]))
    np.add.at(sums, labels, features)
    with np.errstate(invalid="ignore"):
        return sums / counts[:, None]


def distances(features: np.ndarray, points: np.ndarray) -> np.ndarray:
    """`[N, P]` float64: the distance of features `[N, F]` to each point `[P, F]`."""
    return distance.cdist(np.asarray(features, np.float64), points)


def spread(
    features: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    means: np.ndarray | None = None,
) -> Spread:
    """The distances within classes and between them.

    Args:
      features: `[N, F]`.
      labels: `[N]` integers in [0, C).
      num_classes: C.
      means: `[C, F]` of other features, such as those of the images before an attack;
        None: of these.

    Raises:
      ValueError: shapes that do not fit, or no example.
    """
    features, labels = _checked(features, labels)
    if means is None:
        means = class_means(features, labels, num_classes)
    to_means = distances(features, means)
    own = to_means[np.arange(len(labels)), labels]
    counts = np.bincount(labels, minlength=num_classes)
    with np.errstate(invalid="ignore"):
        by_class = np.bincount(labels, own, minlength=num_classes) / counts
    nearest = np.where(np.isnan(to_means), np.inf, to_means).argmin(axis=1)
    return Spread(
        float(own.mean()), between(means), by_class, float((nearest == labels).mean())
    )


def between(means: np.ndarray) -> float:
    """The mean distance of two different points of `[C, F]`; rows of NaN are no points.

    >>> between(np.array([[0.0], [1.0], [np.nan], [3.0]]))
    2.0
    """
    points = means[~np.isnan(means).any(axis=1)]
    count = len(points)
    if count < 2:
        return float("nan")
    return float(distances(points, points).sum() / (count * (count - 1)))


def moved(natural: np.ndarray, adversarial: np.ndarray) -> np.ndarray:
    """`[N]` float64: how far an attack moves each feature.

    Args:
      natural: `[N, F]`.
      adversarial: `[N, F]`, of the same examples after the attack.
    """
    difference = np.asarray(adversarial, np.float64) - np.asarray(natural, np.float64)
    return np.linalg.norm(difference, axis=1)


def _checked(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The features in float64, and the labels."""
    features, labels = np.asarray(features, np.float64), np.asarray(labels)
    if features.ndim != 2 or not len(features):
        raise ValueError(f"features must be [N, F] with N > 0, got {features.shape}")
    if labels.shape != features.shape[:1]:
        raise ValueError(
            f"labels must be [N] with N = {len(features)} as features, got "
            f"{labels.shape}"
        )
    return features, labels
