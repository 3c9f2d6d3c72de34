"""Which images of the training part were found undecodable, and replaced."""

import sys
import threading

import numpy as np


class Replaced:
    """Indices within a split; told of by threads that read at the same time."""

    def __init__(self, size: int) -> None:
        """`size`: examples of the split."""
        self._mask = np.zeros(size, bool)
        self._lock = threading.Lock()

    def note(self, index: int, name: str, reason: object) -> None:
        """Warns on stderr the first time that this one is met."""
        with self._lock:
            first = not self._mask[index]
            self._mask[index] = True
        if first:
            print(
                f"warning: {name} cannot be decoded and is replaced in training: "
                f"{reason}",
                file=sys.stderr,
            )

    def mask(self) -> np.ndarray:
        """`[size]`, True for those met so far."""
        with self._lock:
            return self._mask.copy()
