"""The order in which examples are read: permutations of indices, drawn by Grain.

Any place in an order can be looked up without the places before it.
"""

import sys
from collections.abc import Callable
from typing import Any

import grain
import numpy as np

# Indices of the examples in the batch at a position, with a generator of its own.
IndexBatch = Callable[[int, np.random.Generator], np.ndarray]


def epochs(
    size: int, *, batch_size: int, seed: int, drop_remainder: bool
) -> grain.MapDataset[np.ndarray]:
    """Batches of indices below `size` without end; each epoch is a new permutation."""
    indices = permutations(size, seed)
    return indices.batch(batch_size, drop_remainder=drop_remainder).repeat()


def continuing(
    size: int, *, batch_size: int, order_seed: int, seed: int
) -> grain.MapDataset[np.ndarray]:
    """Batches that take one permutation after another, all of the same size.

    A batch may end one permutation and begin the next, and may be larger than `size`.

    Args:
      size: the number of examples.
      batch_size: indices in each batch.
      order_seed: decides the permutations.
      seed: decides what is drawn for a batch later, such as its augmentation.
    """
    permuted = permutations(size, order_seed)

    def batch_at(position: int, _: np.random.Generator) -> np.ndarray:
        return run_of(permuted, position, batch_size)

    return without_end(batch_at, seed)


def permutations(size: int, seed: int) -> Any:
    """Indices below `size`: all of them in some order, then all in another, and so on.

    `[i]` looks up the index at place i, for any i >= 0.
    """
    return grain.MapDataset.range(size).seed(seed).shuffle()


def run_of(order: Any, position: int, count: int) -> np.ndarray:
    """The indices of batch number `position`, where each takes the next `count`."""
    first = position * count
    return np.array([order[i] for i in range(first, first + count)], np.int64)


def without_end(batch_at: IndexBatch, seed: int) -> grain.MapDataset[np.ndarray]:
    """The batches of indices that `batch_at` gives for the positions 0, 1, 2, ..."""
    return grain.MapDataset.range(sys.maxsize).seed(seed).random_map(batch_at)
