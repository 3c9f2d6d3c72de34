"""How a command ends that is interrupted, that nobody reads, or that fails."""

import contextlib
import os
import signal
import subprocess
import sys
import threading

import pytest

from tests.conftest import ROOT
from tests.support.commands import command
from train import cli
from train.base import terminal
from train.base.errors import UserError
from train.cli import noise
from train.devices.preemption import CLOSED_OUTPUT, CTRL_C, SIGTERM, Preempted, Watch
from train.training.writers import EventsOnADisk

ENDS = {
    "well": (None, 0, ""),
    "a user's error": (UserError("a\n b"), 1, "error: a b\n"),
    "a full disk": (OSError(28, "No space", "x"), 1, "error: [Errno 28] No space: 'x'\n"),
    "an interrupt": (KeyboardInterrupt(), 130, "error: interrupted; shards stay\n"),
    "SIGTERM": (Preempted(), 75, "error: stopped by SIGTERM; the same command goes on\n"),
    "Ctrl-C": (
        Preempted(CTRL_C), 130, "error: stopped by Ctrl-C; the same command goes on\n",
    ),
    "a closed output": (Preempted(CLOSED_OUTPUT), 141, None),
    "a closed pipe": (BrokenPipeError(), 141, ""),
    "little memory": (
        RuntimeError("RESOURCE_EXHAUSTED: Out of memory\nmany\nlines"), 1,
        "error: out of memory: RESOURCE_EXHAUSTED: Out of memory; a smaller batch_size or "
        "evaluation.batch_size, accumulate, model.remat and model.dtype=bfloat16 need "
        "less (docs/pods.md)\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ENDS)
def test_exit_codes_and_sentences(name, capsys):
    error, code, sentence = ENDS[name]

    def call(_):
        if error is not None:
            raise error

    ended = cli.run(["x"], define=lambda *_: None, call=call, kept="shards stay")
    shown = capsys.readouterr().err
    assert ended == code
    assert shown == sentence or sentence is None
    assert shown.count("\n") <= 1


def test_a_defect_of_ours_keeps_its_traceback():
    def call(_):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cli.run(["x"], define=lambda *_: None, call=call)


def test_the_first_interrupt_is_noted_and_the_second_interrupts(capsys):
    before = signal.getsignal(signal.SIGINT)
    with Watch() as watch:
        assert not watch.requested(1)
        os.kill(os.getpid(), signal.SIGINT)
        assert watch.requested(2)
        assert "Ctrl-C again stops without it" in capsys.readouterr().err
        with pytest.raises(Preempted) as raised:
            watch.check()
        assert raised.value.by == CTRL_C
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_what_asked_to_stop():
    closed = []
    with Watch(lambda: bool(closed)) as watch:
        watch.check()
        closed.append(True)
        assert watch.by == CLOSED_OUTPUT
        os.kill(os.getpid(), signal.SIGTERM)
        assert watch.by == SIGTERM


def test_a_console_that_nobody_reads():
    read, write = os.pipe()
    os.close(read)
    with contextlib.suppress(BrokenPipeError), os.fdopen(write, "w") as file:
        console = terminal.console(file=file)
        console.print("a")
        assert console.closed
        console.print("b")


def test_help_that_nobody_reads_to_its_end():
    process = subprocess.Popen(
        command("--help"), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    process.stdout.close()
    assert process.wait(timeout=60) == cli.CLOSED
    assert process.stderr.read() == b""
    process.stderr.close()


def test_errors_of_other_threads_are_not_printed(monkeypatch, capsys):
    for module, name in (
        (threading, "excepthook"), (sys, "excepthook"), (sys, "unraisablehook"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, getattr(module, name))
    monkeypatch.setattr("logging.Logger.setLevel", lambda *_: None)
    noise.silence()

    def fail():
        raise ValueError("in a thread")

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    error = ValueError("in the main thread")
    other = threading.Thread(target=lambda: sys.excepthook(ValueError, error, None))
    other.start()
    other.join()
    assert capsys.readouterr().err == ""
    sys.excepthook(ValueError, error, None)
    assert "in the main thread" in capsys.readouterr().err


def test_events_on_a_full_disk_give_one_warning(capsys):
    events = EventsOnADisk("disk:/dev/full")
    for _ in range(3):
        events.write(b"x" * 100_000)
        events.flush()
    events.close()
    shown = capsys.readouterr().err
    assert shown.startswith("warning: cannot write /dev/full: [Errno 28]")
    assert shown.count("\n") == 1
