"""What a model predicts for examples, as they are and attacked."""

from typing import NamedTuple

import numpy as np


class Predictions(NamedTuple):
    """What a model made of each of `N` examples, `[N]` each.

    Attributes:
      labels: of the examples.
      natural: whether it is right about the example as it is.
      robust: whether it is right on every attack too; None: none was made.
    """

    labels: np.ndarray
    natural: np.ndarray
    robust: np.ndarray | None

    @property
    def natural_accuracy(self) -> float:
        return float(self.natural.mean())

    @property
    def robust_accuracy(self) -> float | None:
        return None if self.robust is None else float(self.robust.mean())

    @property
    def score(self) -> float:
        """What the best weights have most of: robust accuracy where it is known."""
        robust = self.robust_accuracy
        return self.natural_accuracy if robust is None else robust


class AttackedImages(NamedTuple):
    """Some examples, and what the model says of them; None: they were not attacked."""

    x: np.ndarray
    labels: np.ndarray
    natural: np.ndarray
    x_adv: np.ndarray | None = None
    adversarial: np.ndarray | None = None
