"""One process at a time works in a folder, and a crash releases its lock."""

import os
import signal
import subprocess
import sys

import pytest
from etils import epath

from tests.conftest import ROOT
from tests.support import bucket
from train.base.errors import UserError
from train.base.files import lock

HELD = """
import pathlib, sys, time
from train.base.files import lock
folder = pathlib.Path(sys.argv[1])
with lock.held(folder / ".lock", folder):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def in_a_bucket(monkeypatch):
    for name, value in (("BEAT", 0.05), ("PATIENCE", 0.5), ("SETTLE", 0.01)):
        monkeypatch.setattr(lock, name, value)
    bucket.empty()
    return epath.Path(f"gs://{bucket.NAME}/run")


def taken(folder):
    with lock.held(folder / ".lock", folder) as held:
        held.check()
        return True


def test_the_second_process_is_told_who_has_the_lock(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HELD, tmp_path], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    with pytest.raises(UserError, match=f"in use by process {process.pid} on "):
        taken(tmp_path)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert (tmp_path / ".lock").exists()  # a crash leaves the file without its lock
    assert taken(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_lock_ends_with_an_error(tmp_path):
    with pytest.raises(KeyError), lock.held(tmp_path / ".lock", tmp_path):
        raise KeyError
    assert not list(tmp_path.iterdir())
    assert taken(tmp_path)


def test_a_lock_on_a_deleted_file_is_none(tmp_path, monkeypatch):
    """Of a file that its last owner deletes after another process has opened it."""
    path, real = tmp_path / ".lock", lock.fcntl.flock
    calls = []

    def flock(file, flags):
        calls.append(flags)
        real(file, flags)
        if len(calls) == 1:
            path.unlink()

    monkeypatch.setattr(lock.fcntl, "flock", flock)
    with lock.held(path, tmp_path):
        assert len(calls) == 2
        assert path.read_text().startswith("process ")


def test_a_folder_without_locks_is_used_all_the_same(tmp_path, monkeypatch):
    def flock(file, flags):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(lock.fcntl, "flock", flock)
    assert taken(tmp_path)


def test_a_live_owner_in_a_bucket_keeps_its_lock(in_a_bucket):
    with lock.held(in_a_bucket / ".lock", in_a_bucket) as held:
        with pytest.raises(UserError, match=f"in use by process {os.getpid()} on "):
            taken(in_a_bucket)
        held.check()
    assert not bucket.names()


def test_a_crashed_owner_in_a_bucket_loses_its_lock(in_a_bucket):
    (in_a_bucket / ".lock").write_text("process 1 on elsewhere 3 its_token")
    assert taken(in_a_bucket)
    assert not bucket.names()


def test_who_lost_the_lock_of_a_bucket_stops(in_a_bucket, monkeypatch):
    monkeypatch.setattr(lock, "BEAT", 0.3)
    with lock.held(in_a_bucket / ".lock", in_a_bucket) as held:
        (in_a_bucket / ".lock").write_text("process 1 on elsewhere 3 its_token")
        held._thread.join()
        with pytest.raises(UserError, match="in use by process 1 on elsewhere"):
            held.check()
    assert (in_a_bucket / ".lock").read_text().startswith("process 1")


def test_of_two_that_begin_at_once_in_a_bucket_one_gives_up(in_a_bucket, monkeypatch):
    def sleep(seconds):
        (in_a_bucket / ".lock").write_text("process 1 on elsewhere 1 its_token")

    monkeypatch.setattr(lock.time, "sleep", sleep)
    with pytest.raises(UserError, match="in use by process 1 on elsewhere"):
        taken(in_a_bucket)


def test_short_work_in_a_bucket_waits_for_its_turn(in_a_bucket):
    order = []
    with lock.held(in_a_bucket / ".lock", in_a_bucket):
        thread = lock.threading.Thread(target=lambda: order.append(waited(in_a_bucket)))
        thread.start()
        thread.join(0.3)
        assert not order
    thread.join()
    assert order == [True]


def waited(folder):
    with lock.awaited(folder / ".lock", folder):
        return True
