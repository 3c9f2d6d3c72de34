"""Notes that a sweep was asked to stop, without JAX, which would take the devices."""

import signal
import sys
import threading
from types import FrameType
from typing import Any, Self

from train.devices.preemption import CTRL_C, SIGTERM


class Stopping:
    """A context in which SIGTERM and Ctrl-C are noted and end nothing.

    Attributes:
      by: what asked to stop; empty: nothing has.
      at_once: whether a second Ctrl-C came.
    """

    def __init__(self) -> None:
        self.by, self.at_once = "", False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.at_once = bool(self.by) and number == signal.SIGINT
        if not self.by:
            self.by = CTRL_C if number == signal.SIGINT else SIGTERM
            print(
                "stopping the runs, which save first; Ctrl-C again stops them at once",
                file=sys.stderr, flush=True,
            )  # fmt: skip
