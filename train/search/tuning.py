"""Runs the trials of a study, one after another, until there are enough."""

import contextlib
import pathlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from train.base.errors import UserError
from train.base.files import lock
from train.devices.preemption import Preempted
from train.experiment import settings
from train.search import studies, trials
from train.search.cells import Cell, train_arguments
from train.search.children import Child
from train.search.slots import Slot
from train.search.stopping import Stopping
from train.search.studies import Settings

if TYPE_CHECKING:
    import optuna

POLL = 0.5  # seconds between two looks at a run
PATIENCE = 120.0  # seconds to wait for a run that another process is still leaving
FIRST = 3  # trials; if they all fail, the search ends
Report = Callable[[str], object]


def search(
    study: "optuna.Study", wanted: Settings, config: Cell, report: Report
) -> None:
    """Runs trials until the study has as many as are wanted.

    Args:
      study: that `studies.opened` gave.
      wanted: what the user asks for.
      config: the file and the overrides that all trials have in common.
      report: takes a line about each trial that has ended.

    Raises:
      UserError: the first trials all failed.
      Preempted: SIGTERM or Ctrl-C; the trial has saved, and goes on another time.
    """
    with _worker(wanted.workdir) as slot, Stopping() as stopping:
        while not stopping.by:
            with studies.next_trial(study, wanted) as trial:
                if trial is None:
                    return
                said = _run(study, trial, wanted, config, slot, stopping)
            name = trials.folder_of(wanted.workdir, trial).name
            values = " ".join(
                f"{field}={value:.4g}"
                if isinstance(value, float)
                else f"{field}={value}"
                for field, value in trial.params.items()
            )
            report(f"trial {name}: {values}: {said}")
            _check_some_succeed(study)
        raise Preempted(stopping.by)


def _run(
    study: "optuna.Study",
    trial: "optuna.Trial",
    wanted: Settings,
    config: Cell,
    slot: Slot,
    stopping: Stopping,
) -> str:
    """Runs a trial; returns in words how it ended."""
    folder = trials.folder_of(wanted.workdir, trial)
    folder.parent.mkdir(exist_ok=True)
    _await_unused(folder, stopping)
    changed = (*config.overrides, *trials.overrides(trial.params))
    arguments = train_arguments(config._replace(overrides=changed), folder)
    child = Child(folder.name, arguments, slot, folder.with_name(f"{folder.name}.log"))
    ended = trials.Pruning(trial, folder, wanted)
    _watch(child, ended, stopping)
    return trials.tell(
        study, trial, wanted, code=child.code or 0, error=child.last_words(),
        pruned=ended.pruned,
    )  # fmt: skip


def _watch(child: Child, ended: Callable[[], bool], stopping: Stopping) -> None:
    """Waits until a run has ended, which it is asked to once `ended` says so.

    Raises:
      Preempted: this process was asked to stop; the run has saved and ended.
    """
    asked = False
    try:
        while child.code is None:
            if stopping.at_once:
                child.kill()
            if not asked and (stopping.by or ended()):
                child.ask_to_stop()
                asked = True
            time.sleep(POLL)
    finally:
        if child.code is None:  # an error on this side
            child.ask_to_stop()
    if stopping.by and child.code:
        raise Preempted(stopping.by)
    ended()  # the evaluations since the last look


def _await_unused(folder: pathlib.Path, stopping: Stopping) -> None:
    """Waits for a run whose search has died, and that saves before it ends too."""
    start = time.monotonic()
    while (folder / settings.LOCK).exists():
        try:
            with lock.held(folder / settings.LOCK, folder):
                return
        except lock.Busy:
            if time.monotonic() - start > PATIENCE:
                raise
        if stopping.by:
            raise Preempted(stopping.by)
        time.sleep(POLL)


@contextlib.contextmanager
def _worker(workdir: pathlib.Path) -> Iterator[Slot]:
    """The first slot that no other process of the study has."""
    with contextlib.ExitStack() as stack:
        number = 0
        while True:
            path = workdir / f".worker_{number}.lock"
            with contextlib.suppress(lock.Busy):
                stack.enter_context(lock.held(path, workdir))
                break
            number += 1
        yield Slot(number)


def _check_some_succeed(study: "optuna.Study") -> None:
    """Raises `UserError` if the first trials have all failed."""
    states = [trial.state.name for trial in studies.finished(study)]
    ended = [state for state in states if state not in ("RUNNING", "WAITING")]
    if len(ended) >= FIRST and set(ended) == {"FAIL"}:
        errors = [trial.user_attrs.get("error") for trial in studies.finished(study)]
        last = [error for error in errors if error][-1:] or ["see the logs"]
        raise UserError(
            f"the first {len(ended)} trials all failed; the last: {last[0]}"
        )
