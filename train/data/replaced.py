"""A record of the training images that could not be decoded and were replaced."""

import threading

import numpy as np

from train.base import terminal


class ReplacedImages:
    """Indices of the replaced images; several threads may add to it at once."""

    def __init__(self, size: int) -> None:
        """`size`: the number of examples of the split."""
        self._mask = np.zeros(size, bool)
        self._lock = threading.Lock()

    def add(self, index: int, name: str, reason: object) -> None:
        """Records one image, and prints a warning the first time that it is met."""
        with self._lock:
            first = not self._mask[index]
            self._mask[index] = True
        if first:
            terminal.warn(
                f"{name} cannot be decoded and is replaced in training: {reason}"
            )

    def mask(self) -> np.ndarray:
        """`[size]`, True for the images that have been replaced so far."""
        with self._lock:
            return self._mask.copy()
