"""What is read from an iterator of batches, and comparisons of it."""

import numpy as np


def take(iterator, count):
    return [next(iterator) for _ in range(count)]


def check_same(read, expected):
    """Two lists of batches have the same columns, to the last bit."""
    for ours, theirs in zip(read, expected, strict=True):
        assert ours.keys() == theirs.keys()
        for name, array in theirs.items():
            np.testing.assert_array_equal(ours[name], array)


def check_two_processes(batches, count):
    """Two processes read halves of the rows of one, and have the state of one.

    `batches(rows=...)` begins to read those rows of batches, `batches()` all of them.
    """
    halves = [
        batches(rows=lambda size, part=part: np.array_split(np.arange(size), 2)[part])
        for part in range(2)
    ]
    whole = batches()
    for _ in range(count):
        expected, parts = next(whole), [next(half) for half in halves]
        together = {
            name: np.concatenate([part[name] for part in parts]) for name in expected
        }
        check_same([together], [expected])
        assert halves[0].get_state() == halves[1].get_state() == whole.get_state()
