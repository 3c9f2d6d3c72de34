"""What a model predicts for examples, as they are and after an attack."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np


class Predictions(NamedTuple):
    """What a model predicts for `N` examples.

    Attributes:
      indices: `[N]`, the position of each example within its split.
      labels: `[N]`.
      predicted: `[N]`, the class that is predicted for the example as it is.
      resisted: `[R, N]`, whether the label is predicted for the adversarial example of
        each of R restarts; None: no attack was made.
      logits: `[N, C]` of the examples as they are; None: not kept.
    """

    indices: np.ndarray
    labels: np.ndarray
    predicted: np.ndarray
    resisted: np.ndarray | None = None
    logits: np.ndarray | None = None

    @property
    def correct(self) -> np.ndarray:
        """`[N]`, whether the label is predicted for the example as it is."""
        return self.predicted == self.labels

    @property
    def robust(self) -> np.ndarray | None:
        """`[N]`, whether it is predicted after every restart of the attack too."""
        if self.resisted is None:
            return None
        return self.correct & self.resisted.all(axis=0)

    @property
    def natural_accuracy(self) -> float:
        return float(self.correct.mean())

    @property
    def robust_accuracy(self) -> float | None:
        robust = self.robust
        return None if robust is None else float(robust.mean())

    @property
    def score(self) -> float:
        """The metric by which the best weights are chosen.

        It is the robust accuracy, or the natural one where no attack was made.
        """
        robust = self.robust_accuracy
        return self.natural_accuracy if robust is None else robust


def joined(parts: Iterable[Predictions]) -> Predictions:
    """Those of several batches as one."""
    indices, labels, predicted, resisted, logits = zip(*parts, strict=True)
    return Predictions(
        np.concatenate(indices), np.concatenate(labels), np.concatenate(predicted),
        None if resisted[0] is None else np.concatenate(resisted, axis=1),
        None if logits[0] is None else np.concatenate(logits),
    )  # fmt: skip


def in_order(predictions: Predictions) -> Predictions:
    """Each example once, in the order of the split."""
    _, rows = np.unique(predictions.indices, return_index=True)
    indices, labels, predicted, resisted, logits = predictions
    return Predictions(
        indices[rows], labels[rows], predicted[rows],
        None if resisted is None else resisted[:, rows],
        None if logits is None else logits[rows],
    )  # fmt: skip


class AttackedImages(NamedTuple):
    """Images, adversarial examples of them, and what a model predicts for both.

    Attributes:
      x: `[n, H, W, K]` in [0, 1].
      labels: `[n]`.
      natural: `[n]`, the classes that are predicted for `x`.
      x_adv: `[n, H, W, K]`; None: the images were not attacked.
      adversarial: `[n]`, the classes that are predicted for `x_adv`.
    """

    x: np.ndarray
    labels: np.ndarray
    natural: np.ndarray
    x_adv: np.ndarray | None = None
    adversarial: np.ndarray | None = None
