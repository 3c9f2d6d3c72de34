"""The file that an evaluation goes on from: whole parts, of the same evaluation."""

import numpy as np
import pytest

from ikl_jax.attacks.ensemble.passes import Record
from train.base.errors import UserError
from train.evaluation.autoattack.verdicts import record_of
from train.evaluation.journal import Journal


def record(number, count=3):
    rng = np.random.default_rng(number)
    broken = np.arange(count) % 2 == 0
    x_adv = rng.random((int(broken.sum()), 2, 2, 1)).astype(np.float32)
    return Record(number, np.arange(count) + number, broken, x_adv, 0.5 + number)


def check(parts, count):
    records = [record_of(part) for part in parts]
    assert [one.number for one in records] == list(range(count))
    for one in records:
        for ours, expected in zip(one, record(one.number), strict=True):
            np.testing.assert_array_equal(ours, expected)


def written(path, count=3):
    journal = Journal(path, "an evaluation")
    assert journal.parts == []
    for number in range(count):
        journal.add(record(number)._asdict())
    journal.close()
    return path


def test_what_is_added_is_there(tmp_path):
    path = written(tmp_path / "journal")
    journal = Journal(path, "an evaluation")
    check(journal.parts, 3)
    journal.add(record(3)._asdict())
    journal.close()
    journal = Journal(path, "an evaluation")
    check(journal.parts, 4)
    journal.close()


def test_another_evaluations_is_refused(tmp_path):
    path = written(tmp_path / "journal")
    before = path.read_bytes()
    with pytest.raises(UserError, match="another model, data, key or epsilon: an eval"):
        Journal(path, "another evaluation")
    assert path.read_bytes() == before


def test_another_evaluations_without_records_is_begun_anew(tmp_path):
    path = written(tmp_path / "journal", count=0)
    journal = Journal(path, "another evaluation")
    journal.add(record(0)._asdict())
    journal.close()
    with pytest.raises(UserError, match="another evaluation"):
        Journal(path, "an evaluation")


@pytest.mark.parametrize("cut", [1, 13, 400])
def test_a_cut_record_is_forgotten(tmp_path, cut):
    path = written(tmp_path / "journal")
    path.write_bytes(path.read_bytes()[:-cut])
    journal = Journal(path, "an evaluation")
    check(journal.parts, 2)
    journal.add(record(2)._asdict())
    journal.close()
    journal = Journal(path, "an evaluation")
    check(journal.parts, 3)
    journal.close()


def test_a_flipped_bit_ends_what_is_read(tmp_path):
    path = written(tmp_path / "journal")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    journal = Journal(path, "an evaluation")
    check(journal.parts, 1)
    journal.close()


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="cannot write .*journal"):
        Journal(tmp_path / "none" / "journal", "an evaluation")
