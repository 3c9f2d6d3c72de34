"""Checks of logits and labels, which may come from any `logits_fn`."""

import numpy as np


def checked(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The logits `[N, C]` in float64, and the labels `[N]` as integers.

    Raises:
      ValueError: there are no examples, the shapes do not fit, a logit is no finite
        number, or a label is none of the C classes.
    """
    logits, labels = np.asarray(logits, np.float64), np.asarray(labels)
    if logits.ndim != 2 or not logits.size or labels.shape != logits.shape[:1]:
        raise ValueError(
            "logits must have the shape [N, C] and labels [N], with N and C > 0, got "
            f"{logits.shape} and {labels.shape}"
        )
    if not np.isfinite(logits).all():
        raise ValueError("logits must be finite numbers")
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels must be integers, got {labels.dtype}")
    if labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise ValueError(
            f"labels must lie in [0, {logits.shape[1]}), got values from "
            f"{labels.min()} to {labels.max()}"
        )
    return logits, labels.astype(np.int64)
