"""Checks what attacks say they found."""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from ikl_jax.attacks.common import geometry, losses
from ikl_jax.attacks.common.classifier import Classifier, Constants
from ikl_jax.attacks.common.keys import fold_each
from ikl_jax.types import Array

# Sizes are summed in float64, of coordinates that were rounded to float32.
TOLERANCE = 1e-5


@dataclasses.dataclass(frozen=True)
class Judge:
    """Makes a clean forward pass, and measures the perturbation again.

    Attributes:
      classifier: makes the clean forward pass; it may compute in more digits than the
        one that is attacked.
      epsilon: radius of the ball, > 0.
      norm: "linf", "l2" or "l1".
      samples: forward passes, each with its own noise, of a randomised network; the
        mean of their logits decides.
    """

    classifier: Classifier
    epsilon: float
    norm: str
    samples: int = 1

    def __call__(
        self, x: Array, x_adv: Array, labels: Array, keys: Array
    ) -> np.ndarray:
        """`[B]`: misclassified, in the ball around `x`, and in [0, 1]."""
        wrong = self.is_wrong(x_adv, labels, keys)
        return wrong & self.is_allowed(np.asarray(x), np.asarray(x_adv))

    def is_wrong(self, x: Array, labels: Array, keys: Array) -> np.ndarray:
        """`[B]`, whether the prediction is another class."""
        logits = self.logits(x, keys)
        return np.asarray(losses.is_wrong(logits, labels))

    def logits(self, x: Array, keys: Array) -> Array:
        """`[B, C]`, the mean over the samples."""
        return self._logits(self.classifier.constants(x, keys), x, keys)

    def is_allowed(self, x: np.ndarray, x_adv: np.ndarray) -> np.ndarray:
        """`[B]`, whether `x_adv` lies in the ball and in [0, 1]."""
        rows = np.asarray(x_adv, np.float64).reshape(len(x), -1)
        delta = rows - np.asarray(x, np.float64).reshape(len(x), -1)
        size = geometry.norm_named(self.norm).size(delta)
        near = size <= self.epsilon * (1 + TOLERANCE) + 1e-7
        inside = (rows >= 0) & (rows <= 1)
        return near & inside.all(axis=1)

    @functools.cached_property
    def _logits(self) -> Callable[[Constants, Array, Array], Array]:
        def mean_logits(constants: Constants, x: Array, keys: Array) -> Array:
            def add(sample: Array, total: Array) -> Array:
                folded = fold_each(keys, sample)
                return total + self.classifier.logits(constants, x, folded)

            if self.samples == 1:
                return self.classifier.logits(constants, x, keys)
            zero = jnp.zeros((len(x), self.classifier.num_classes))
            return jax.lax.fori_loop(0, self.samples, add, zero) / self.samples

        return jax.jit(mean_logits)
