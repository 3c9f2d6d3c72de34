"""Some of the examples of a part, spread evenly over it."""

import numpy as np


def rows_of(size: int, count: int) -> np.ndarray:
    """`[min(size, count)]`, ascending positions, spread evenly from 0 to below `size`.

    So all classes are among them where the examples are in the order of their classes.

    >>> rows_of(10, 4), rows_of(3, 5), rows_of(3, 0)
    (array([0, 2, 5, 7]), array([0, 1, 2]), array([], dtype=int64))
    """
    count = min(size, count)
    return np.arange(count) * size // max(count, 1)
