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
from typing import Any, NamedTuple, Self

ROOT = pathlib.Path(__file__).parent.parent.parent
Message = dict[str, Any]


class End(NamedTuple):
    """How a stage ended, with the error.

    The status is "done", "failed", "over its budget" or "stopped".
    """

    status: str
    seconds: float
    error: str | None = None


class Stop:
    """A context in which SIGTERM and Ctrl-C end the stage that runs.

    The handler raises nothing: an exception could come while the stage is being
    started, which would then go on, or where Python drops it.

    Attributes:
      asked: whether one of the two has come.
    """

    def __init__(self) -> None:
        self.asked = False
        self._process: subprocess.Popen[str] | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def watch(self, process: "subprocess.Popen[str]") -> None:
        """Ends a process that has begun as soon as it is asked to, or already was."""
        self._process = process
        if self.asked:
            _kill(process)

    def _note(self, *_: object) -> None:
        self.asked = True
        if self._process is not None:
            _kill(self._process)


def run(
    command: list[str],
    *,
    seconds: float,
    log: pathlib.Path,
    environment: Mapping[str, str],
    receive: Callable[[Message], None],
    stop: Stop,
) -> End:
    """Runs a command until it ends or its time is over.

    Args:
      command: prints a line of JSON for each of its results.
      seconds: after them the command is killed, with what it has started.
      log: gets what the command writes to the standard error.
      environment: of the command.
      receive: called with each result, at once.
      stop: ends the command.
    """
    begin, over = time.monotonic(), threading.Event()
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=errors,
            text=True, start_new_session=True,
        ) as process,
    ):  # fmt: skip
        stop.watch(process)
        timer = threading.Timer(seconds, lambda: (over.set(), _kill(process)))
        timer.start()
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.endswith("\n"):  # else it was killed within the line
                    receive(json.loads(line))
            code = process.wait()
        except BaseException:
            _kill(process)
            raise
        finally:
            timer.cancel()
    took = time.monotonic() - begin
    if stop.asked:
        return End("stopped", took)
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
