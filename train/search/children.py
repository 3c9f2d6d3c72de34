"""Processes of a sweep: started with a log, looked after, asked to stop."""

import os
import pathlib
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence

from train.base import terminal
from train.search import slots, start

ROOT = pathlib.Path(__file__).parent.parent.parent  # where `python -m train` is found
CACHE = ".cache"  # of a sweep's folder


def environment() -> dict[str, str]:
    """This process's, with a path on which `python -m train` is found."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


class Child:
    """A command that was started, and what it prints in a log.

    Attributes:
      cell_name: the cell that it is of.
      slot: that it works in.
      log: the file that its output is added to.
      is_evaluation: whether it judges a run, and does not train one.
    """

    def __init__(
        self, cell_name: str, arguments: Sequence[str], slot: slots.Slot,
        log: pathlib.Path,
    ) -> None:  # fmt: skip
        """Starts `python ARGUMENTS...`; of its own process group, so that a Ctrl-C of
        the terminal reaches the sweep alone."""
        self.cell_name, self.slot, self.log = cell_name, slot, log
        self.is_evaluation = "train.evaluate" in arguments
        self._began = time.monotonic()
        variables = environment() | slots.variables(slot, str(log.parent / CACHE))
        cores = ",".join(map(str, slot.cores))
        with log.open("a") as output:
            output.write(f"$ {shlex.join(['python', *arguments])}\n")
            output.flush()
            self._offset = output.tell()
            self._process = subprocess.Popen(
                [sys.executable, str(start.__file__), cores, str(os.getpid()),
                 *arguments],
                env=variables, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, process_group=0,
            )  # fmt: skip

    @property
    def code(self) -> int | None:
        """The exit code; None: it has not ended."""
        return self._process.poll()

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._began

    def ask_to_stop(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()

    def last_words(self) -> str:
        """The sentence that it ended with: its last error, else its last line."""
        with self.log.open("rb") as file:
            file.seek(self._offset)
            text = file.read().decode(errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("error: ")]
        last = (errors or lines or ["nothing was printed"])[-1]
        return terminal.shown(last.removeprefix("error: "))
