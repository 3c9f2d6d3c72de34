"""Runs a stage in a process of its own, for as long as its budget lasts."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

ROOT = pathlib.Path(__file__).parent.parent.parent
Message = dict[str, Any]


class End(NamedTuple):
    """How a stage ended: "done", "failed" or "over its budget", with the error."""

    status: str
    seconds: float
    error: str | None = None


def run(
    command: list[str],
    *,
    seconds: float,
    log: pathlib.Path,
    environment: Mapping[str, str],
    receive: Callable[[Message], None],
) -> End:
    """Runs a command until it ends or its time is over.

    Args:
      command: prints a line of JSON for each of its results.
      seconds: after them the command is killed, with what it has started.
      log: gets what the command writes to the standard error.
      environment: of the command.
      receive: called with each result, at once.
    """
    begin, over = time.monotonic(), threading.Event()
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=errors,
            text=True, start_new_session=True,
        ) as process,
    ):  # fmt: skip
        timer = threading.Timer(seconds, lambda: (over.set(), _kill(process)))
        timer.start()
        try:
            assert process.stdout is not None
            for line in process.stdout:
                receive(json.loads(line))
            code = process.wait()
        except BaseException:
            _kill(process)
            raise
        finally:
            timer.cancel()
    took = time.monotonic() - begin
    if over.is_set():
        return End("over its budget", took)
    if code:
        return End("failed", took, _last_line(log) or f"it ended with {code}")
    return End("done", took)


def module(name: str, *arguments: str) -> list[str]:
    """The command that runs a module with this Python."""
    return [sys.executable, "-m", name, *arguments]


def _kill(process: subprocess.Popen[str]) -> None:
    """Kills the process and all that it has started in its session."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.kill()


def _last_line(log: pathlib.Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1][:500] if lines else ""
