"""A record of images that were met while reading and are worth to be counted."""

import threading

import numpy as np


class NoticedImages:
    """Indices of images of a split; several threads may add to it at once."""

    def __init__(self, size: int) -> None:
        """`size`: the number of examples of the split."""
        self._mask, self._count = np.zeros(size, bool), 0
        self._lock = threading.Lock()

    def add(self, index: int) -> int:
        """Records one image.

        Returns:
          How many there are with it, if it is met for the first time; else 0.
        """
        with self._lock:
            if self._mask[index]:
                return 0
            self._mask[index] = True
            self._count += 1
            return self._count

    def mask(self) -> np.ndarray:
        """`[size]`, True for the images that have been added so far."""
        with self._lock:
            return self._mask.copy()
