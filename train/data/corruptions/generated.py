"""Images that are corrupted here, as they are read."""

import dataclasses
import math
from concurrent.futures import Executor, ThreadPoolExecutor

import numpy as np

from train.base.types import Batch
from train.data.corruptions.corrupted import corrupt
from train.data.splits import OneForm, Split

# To be raised when an operation gives other images: records name it.
VERSION = 1
VALUES = 2**22  # numbers in the images that a thread corrupts at a time


@dataclasses.dataclass(frozen=True, eq=False)
class Corrupted(OneForm):
    """The images of a split under one corruption; see `corrupted.corrupt`."""

    split: Split
    name: str
    severity: int
    seed: int
    pool: Executor
    threads: int

    def __len__(self) -> int:
        return len(self.split)

    @property
    def labels(self) -> np.ndarray:
        return self.split.labels

    def take(self, indices: np.ndarray) -> Batch:
        """The examples at `indices`, which decide their random numbers too."""
        batch = self.split.take(indices)
        images = batch["image"]
        most = max(1, VALUES // math.prod(images.shape[1:]))
        size = max(1, min(most, math.ceil(len(images) / self.threads)))
        starts = range(0, len(images), size)

        def part(start: int) -> np.ndarray:
            rows = slice(start, start + size)
            return corrupt(
                images[rows], indices[rows], self.name, self.severity, seed=self.seed
            )

        return {**batch, "image": np.concatenate([*self.pool.map(part, starts)])}


class Generated:
    """All corruptions of a split.

    Attributes:
      identity: a text that changes when the images do.
    """

    def __init__(self, split: Split, *, seed: int, threads: int) -> None:
        """Of the split's images.

        Args:
          split: the examples as they are.
          seed: of the corruptions' random numbers.
          threads: that corrupt at the same time.
        """
        self.identity = f"generated, version {VERSION}, seed {seed}"
        self._split, self._seed, self._threads = split, seed, threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="corrupt")

    def missing(self, name: str) -> str:
        """What is missing to corrupt so; "": nothing."""
        return ""

    def split(self, name: str, severity: int) -> Corrupted:
        """The examples under one corruption."""
        return Corrupted(
            self._split, name, severity, self._seed, self._pool, self._threads
        )
