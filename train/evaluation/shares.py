"""Divides what is left of an evaluation over its processes.

The rows of a process depend on nothing but what is finished, so all processes come to
the same division. Which process attacks an example changes nothing that is found for
it: an example's random numbers depend on itself alone.
"""

import jax
import numpy as np


def dealt(left: np.ndarray, process: int, processes: int) -> np.ndarray:
    """The rows of one process.

    >>> dealt(np.array([4, 0, 7, 5, 9]), 0, 2), dealt(np.array([4, 0, 7, 5, 9]), 1, 2)
    (array([4, 7, 9]), array([0, 5]))

    Args:
      left: `[L]`, what is left to do, alike in cost where neighbours.
      process: its number.
      processes: how many there are.

    Returns:
      Every `processes`-th of them, in ascending order.
    """
    return np.sort(left[process::processes])


def of_this_process(left: np.ndarray) -> np.ndarray:
    """The rows that are dealt to this process."""
    return dealt(left, jax.process_index(), jax.process_count())


def unfinished(passes: np.ndarray, count: int) -> np.ndarray:
    """The rows that are not broken and lack passes; those that lack most come first.

    Args:
      passes: `[N]`, how many passes each example has resisted; -1: one has broken it.
      count: of all passes.
    """
    left = np.flatnonzero((passes >= 0) & (passes < count))
    return left[np.argsort(passes[left], kind="stable")]
