"""The journals of several processes: what any of them wrote, whoever goes on."""

import numpy as np
import pytest

from train.base.errors import UserError
from train.devices import processes
from train.evaluation import journals as module
from train.evaluation.journals import Journals


def opened(workdir, process=0, fingerprint="an evaluation"):
    """Those that a process with this number opens, alone in this test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.jax, "process_index", lambda: process)
        patch.setattr(processes, "is_main", lambda: process == 0)
        patch.setattr(processes, "on_main", lambda call: process == 0 and call())
        return Journals(workdir, "pgd5-0123", fingerprint)


def rows(journals):
    return sorted(int(row) for part in journals.parts for row in part["rows"])


def add(workdir, process, *numbers):
    first = opened(workdir)
    journals = opened(workdir, process) if process else first
    journals._own.add({"rows": np.array(numbers)})
    first.close()
    journals.close()


def test_the_first_process_reads_what_all_wrote(tmp_path):
    add(tmp_path, 0, 1, 2)
    add(tmp_path, 1, 5)
    add(tmp_path, 12, 7, 8)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [
        "pgd5-0123.1.journal", "pgd5-0123.12.journal", "pgd5-0123.journal",
    ]  # fmt: skip
    first = opened(tmp_path)
    second = opened(tmp_path, 1)
    assert rows(first) == [1, 2, 5, 7, 8]
    assert second.parts == []
    first.close()
    second.close()


def test_others_of_like_names_are_left_alone(tmp_path):
    for name in ("pgd5-0123x.journal", "xpgd5-0123.journal", "pgd5-0123.journal.1"):
        (tmp_path / name).write_text("not ours")
    journals = opened(tmp_path)
    assert journals.parts == []
    journals.delete()
    assert len(list(tmp_path.iterdir())) == 3


def test_strangers_are_refused_while_any_process_is_at_work(tmp_path):
    first = opened(tmp_path)
    second = opened(tmp_path, 1)
    with pytest.raises(UserError, match=r"pgd5-0123\.journal is in use by another"):
        opened(tmp_path)
    first.close()  # its process is gone, that of the other is not
    for _ in range(2):  # what was refused holds nothing
        with pytest.raises(UserError, match=r"pgd5-0123\.1\.journal is in use by anot"):
            opened(tmp_path)
    second.close()
    opened(tmp_path).close()


def test_a_workdir_that_is_not_shared_is_refused(tmp_path):
    with pytest.raises(UserError, match="a folder that all processes share, got .*"):
        opened(tmp_path, 1)
    assert not list(tmp_path.iterdir())


def test_another_evaluations_journal_is_refused(tmp_path):
    add(tmp_path, 1, 3)
    with pytest.raises(UserError, match="1.journal holds the attacks of another model"):
        opened(tmp_path, fingerprint="of other weights")


def test_all_are_deleted(tmp_path):
    for process in range(3):
        add(tmp_path, process, process)
    opened(tmp_path).delete()
    assert not list(tmp_path.iterdir())
