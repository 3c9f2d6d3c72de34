"""Being told to stop: SIGTERM, from a scheduler or a pod's preemption notice."""

import signal
from types import FrameType
from typing import Self

import jax
from jax.experimental import multihost_utils


class Preempted(Exception):
    """The run was told to stop, has saved what it can, and may be started again."""


class Watch:
    """Notices SIGTERM while it is entered, instead of dying of it.

    With several processes the JAX runtime receives the signal, on any of them, and lets
    all agree on the step to stop at.
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
        """Between steps, where processes need not agree: raises `Preempted`."""
        if self._requested:
            raise Preempted
