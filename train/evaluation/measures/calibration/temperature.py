"""The temperature that makes confidences fit a validation part best.

Reference: Guo et al., "On Calibration of Modern Neural Networks",
https://arxiv.org/abs/1706.04599, 2017, section 4.2.
"""

import numpy as np
from scipy import optimize

from train.evaluation.measures.arrays import checked
from train.evaluation.measures.calibration.errors import negative_log_likelihood

LIMITS = (0.01, 100.0)  # of a fitted temperature


def fitted(logits: np.ndarray, labels: np.ndarray) -> float:
    """The T > 0 for which logits / T have the least mean negative log-likelihood.

    That likelihood is convex in 1/T, so there is one minimum. Where it lies outside of
    `LIMITS`, as at 0 if every example is right, the result is the nearer limit.

    Args:
      logits: `[N, C]` of examples that the model was not trained on.
      labels: `[N]`.
    """
    logits, labels = checked(logits, labels)
    if (logits.argmax(axis=1) == labels).all():
        return LIMITS[0]  # below, the loss is 0 in floating point, which has no minimum

    def mean_loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        return float(negative_log_likelihood(scaled, labels).mean())

    found = optimize.minimize_scalar(
        mean_loss, bounds=tuple(np.log(LIMITS)), method="bounded",
        options={"xatol": 1e-7},
    )  # fmt: skip
    return float(np.exp(found.x))


def is_at_limit(temperature: float) -> bool:
    """Whether a fitted temperature is only the nearest one that is allowed."""
    return bool(np.isclose(np.log(temperature), np.log(LIMITS), atol=1e-4).any())
