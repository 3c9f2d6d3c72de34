"""A plan for a topology is made by a process of its own, which may crash."""

import pathlib
import pickle
import re
import subprocess
import sys

import pytest

from configs import digits_ikl_at
from tests.train.planning.test_table import PLANNED
from train.base.errors import UserError
from train.planning import apart
from train.planning.plan import Target

ASKED = Target("v6e:2x2")


@pytest.fixture
def config():
    return digits_ikl_at.get_config("quick")


def other_process(monkeypatch, script):
    """Puts a script in the place of the process that plans."""

    def started(said):
        return subprocess.Popen(
            [sys.executable, "-c", script],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said,
        )  # fmt: skip

    monkeypatch.setattr(apart, "_started", started)


def answering(answer):
    """A script that answers when it is asked, and prints beside it."""
    return (
        "import sys, pickle\n"
        "sys.stdin.buffer.peek(1)\n"
        "print('from the compiler', file=sys.stderr)\n"
        f"sys.stdout.buffer.write({pickle.dumps(answer)!r})"
    )


def test_the_plan_comes_back_with_what_was_printed(config, monkeypatch, capsys):
    other_process(monkeypatch, answering(PLANNED))
    assert apart.plan(config, ASKED) == PLANNED
    assert capsys.readouterr().err == "from the compiler\n"


def test_an_error_comes_back(config, monkeypatch):
    other_process(monkeypatch, answering(UserError("batch_size must be even, got 3")))
    with pytest.raises(UserError, match="batch_size must be even, got 3"):
        apart.plan(config, ASKED)


def test_the_other_process_may_end_after_its_answer(config, monkeypatch):
    """It takes the end of its input for the end of the one that asked."""
    script = (
        "import os, select, sys\n"
        "os.read(0, 2**20)\n"
        f"os.write(1, {pickle.dumps(PLANNED)!r})\n"
        "os.close(1)\n"
        "os._exit(1 if select.select([0], [], [], 0.3)[0] else 0)"
    )
    other_process(monkeypatch, script)
    assert apart.plan(config, ASKED) == PLANNED


def test_a_crash_of_the_compiler_is_one_sentence(config, monkeypatch):
    script = (
        "import os, signal, sys\n"
        "print('STACK OVERFLOW', file=sys.stderr, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGSEGV)"
    )
    other_process(monkeypatch, script)
    with pytest.raises(UserError) as raised:
        apart.plan(config, ASKED)
    found = re.fullmatch(
        r"TPU's compiler \(libtpu .*\) ended by SIGSEGV at this step for v6e:2x2, so "
        r"there is no plan; what it wrote is in (.*)",
        str(raised.value),
    )
    assert found is not None
    log = pathlib.Path(found[1])
    assert log.read_text() == "STACK OVERFLOW\n"
    log.unlink()


def test_the_devices_that_are_there_need_no_other_process(config, monkeypatch):
    monkeypatch.setattr(apart.here, "plan", lambda config, target: PLANNED)
    other_process(monkeypatch, "raise SystemExit(1)")
    assert apart.plan(config, Target()) is PLANNED


@pytest.mark.long
def test_the_other_process_knows_the_project_and_answers(config, monkeypatch):
    """Without a TPU's compiler its answer is the sentence that says so."""
    monkeypatch.setenv("TPU_LIBRARY_PATH", "")
    with pytest.raises(UserError, match="topology must be|libtpu"):
        apart.plan(config, Target("v0:1x2x3x4"))


@pytest.mark.long
def test_the_other_process_ends_with_the_one_that_asked(monkeypatch, tmp_path):
    log = tmp_path / "said"
    with log.open("wb") as said:
        process = apart._started(said)
        assert process.stdin is not None
        assert process.stdout is not None
        # A plan that never ends, from which only the asker's end leads out.
        process.stdin.write(pickle.dumps((None, Endless())))
        process.stdin.close()
        assert process.wait(timeout=120) == 1
        process.stdout.close()
    assert "Traceback" not in log.read_text()


class Endless:
    """A target that sleeps when it is looked at."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        import time

        time.sleep(600)
