"""A run that is asked to stop saves first, and can be started again.

A scheduler or a pod asks by SIGTERM, a user by Ctrl-C, and a command that reads the
output, such as `head`, by closing it.
"""

import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

import jax
from jax.experimental import multihost_utils

SIGTERM, CTRL_C, CLOSED_OUTPUT = "SIGTERM", "Ctrl-C", "a reader that closed the output"


class Preempted(Exception):
    """The run was asked to stop, and has saved what it can; it can be started again.

    Attributes:
      by: what asked.
    """

    def __init__(self, by: str = SIGTERM) -> None:
        super().__init__(by)
        self.by = by


def end_at_sigterm() -> None:
    """Lets SIGTERM end the process, as it does where JAX's runtime does not take it.

    For commands of several processes that need not save, because they have.
    """
    if jax.process_count() > 1:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


class Watch:
    """A context in which SIGTERM and Ctrl-C do not end the process but are noted.

    A second Ctrl-C interrupts at once. With several processes, Ctrl-C is left as it is,
    and the JAX runtime receives SIGTERM, on any one of them, and makes all of them
    agree on the step to stop at.
    """

    def __init__(self, closed: Callable[[], bool] = lambda: False) -> None:
        """A watch; `closed` says whether nobody reads the output any more."""
        self._asked, self._closed = "", closed
        self._several = jax.process_count() > 1
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if not self._several:
            for number, note in (
                (signal.SIGTERM, self._note_sigterm),
                (signal.SIGINT, self._note_interrupt),
            ):
                self._before[number] = signal.signal(number, note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note_sigterm(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = SIGTERM

    def _note_interrupt(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = self._asked or CTRL_C
        signal.signal(signal.SIGINT, signal.default_int_handler)
        print("saving after this step; Ctrl-C again stops without it", file=sys.stderr)

    @property
    def by(self) -> str:
        """What asked to stop, with several processes SIGTERM; "" if nothing has."""
        if self._several:
            return SIGTERM
        return self._asked or (CLOSED_OUTPUT if self._closed() else "")

    def requested(self, step: int) -> bool:
        """Whether to stop before `step`; every process asks before every step."""
        if self._several:
            return multihost_utils.reached_preemption_sync_point(step)
        return bool(self.by)

    def check(self) -> None:
        """Raises `Preempted` if a stop was asked for; for work outside the steps."""
        if not self._several and self.by:
            raise Preempted(self.by)
