"""The division over processes: each example once, and what is left evenly."""

import numpy as np
import pytest

from ikl_jax.attacks.ensemble.passes import Record
from train.evaluation import shares
from train.evaluation.autoattack import verdicts


@pytest.mark.parametrize(("count", "processes"), [(0, 2), (3, 4), (10, 1), (23, 4)])
def test_each_row_is_dealt_once(count, processes):
    left = np.random.default_rng(count).permutation(100)[:count]
    parts = [shares.dealt(left, each, processes) for each in range(processes)]
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.sort(left))
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    assert all((np.diff(part) > 0).all() for part in parts)


def test_what_is_left_is_dealt_evenly_at_every_pass():
    """One process of two had died early: half of the rows are far behind."""
    passes = np.where(np.arange(40) % 2, 9, 2)
    passes[:8] = -1
    passes[8:12] = 20
    left = shares.unfinished(passes, 20)
    np.testing.assert_array_equal(np.sort(left), np.arange(12, 40))
    for process in range(2):
        rows = shares.dealt(left, process, 2)
        assert np.bincount(passes[rows], minlength=10)[[2, 9]].tolist() == [7, 7]


def record(number, rows, broken):
    broken = np.isin(rows, broken)
    x_adv = np.full((int(broken.sum()), 2, 2, 1), number, np.float32)
    return Record(number, np.array(rows), broken, x_adv, 1.0)


RECORDS = [
    record(0, [0, 2, 4], [2]), record(1, [0, 4], []),
    record(0, [1, 3], [1]), record(2, [0], [0]), record(2, [4], []),
]  # fmt: skip


def test_how_many_passes_each_example_has_resisted():
    passes = verdicts.resisted(RECORDS, 6)
    np.testing.assert_array_equal(passes, [-1, -1, -1, 1, 3, 0])
    assert passes.dtype == np.int32
    np.testing.assert_array_equal(verdicts.resisted(RECORDS[::-1], 6), passes)


def test_records_of_what_was_resisted():
    again = verdicts.as_records(np.array([1, 3, 0]), (2, 2, 1))
    np.testing.assert_array_equal(verdicts.resisted(again, 3), [1, 3, 0])
    assert [one.rows.tolist() for one in again] == [[0, 1], [1], [1]]
    assert all(one.x_adv.shape == (0, 2, 2, 1) for one in again)
    assert verdicts.as_records(np.zeros(0, np.int32), (4,)) == []
    assert verdicts.as_records(np.zeros(3, np.int32), (4,)) == []
