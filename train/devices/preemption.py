"""Preemption: a scheduler or a pod sends SIGTERM, and the run saves and stops."""

import signal
from types import FrameType
from typing import Self

import jax
from jax.experimental import multihost_utils


class Preempted(Exception):
    """SIGTERM has arrived. The run has saved what it can; it can be started again."""


class Watch:
    """A context in which SIGTERM does not end the process but is noted.

    With several processes the JAX runtime receives the signal, on any one of them, and
    makes all of them agree on the step to stop at.
    """

    def __init__(self) -> None:
        self._requested = False
        self._several = jax.process_count() > 1
        self._before: object = None

    def __enter__(self) -> Self:
        if not self._several:
            self._before = signal.signal(signal.SIGTERM, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if not self._several:
            signal.signal(signal.SIGTERM, self._before)  # type: ignore[arg-type]

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._requested = True

    def requested(self, step: int) -> bool:
        """Whether to stop before `step`; every process asks before every step."""
        if self._several:
            return multihost_utils.reached_preemption_sync_point(step)
        return self._requested

    def check(self) -> None:
        """Raises `Preempted` if SIGTERM has arrived; for work outside the steps."""
        if self._requested:
            raise Preempted
