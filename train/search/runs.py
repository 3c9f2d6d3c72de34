"""Makes the runs of a sweep, several at a time; one that fails stops no other."""

import collections
import pathlib
import time
from collections.abc import Callable, Sequence

from train.base import progress
from train.base.errors import UserError
from train.base.files import lock
from train.devices.preemption import Preempted
from train.experiment import settings
from train.search import standing
from train.search.cells import Cell
from train.search.children import Child
from train.search.slots import Slot
from train.search.standing import Standing
from train.search.stopping import Stopping

POLL = 0.1  # seconds between two looks at the children
PATIENCE = 60.0  # seconds to wait for a run that another process is still leaving
Report = Callable[[str], object]


def check(cells: Sequence[Cell], workdir: pathlib.Path) -> None:
    """Raises `UserError` if the folder of a cell was made with another config."""
    for cell in cells:
        standing.check(cell, workdir / cell.name)


def make(
    cells: Sequence[Cell],
    workdir: pathlib.Path,
    slots: Sequence[Slot],
    report: Report,
) -> dict[str, str]:
    """Makes what is not finished yet.

    Args:
      cells: the runs, in the order in which they begin.
      workdir: each cell has a folder here, and a log beside it.
      slots: a run at a time in each.
      report: takes a line about each run that has ended.

    Returns:
      What went wrong, by the names of the cells that failed.

    Raises:
      UserError: a folder was made with another config; then nothing is begun.
      Preempted: SIGTERM or Ctrl-C; the runs have saved and stopped.
    """
    check(cells, workdir)
    return _Work(cells, workdir, slots, report).to_the_end()


class _Work:
    """The state of `make`."""

    def __init__(
        self, cells: Sequence[Cell], workdir: pathlib.Path, slots: Sequence[Slot],
        report: Report,
    ) -> None:  # fmt: skip
        self._cells = {cell.name: cell for cell in cells}
        self._workdir, self._report = workdir, report
        left = [cell.name for cell in cells if not self._is_finished(cell.name)]
        self._waiting = collections.deque(left)
        self._free = list(slots)
        self._children: dict[Child, dict[str, int]] = {}
        self._failed: dict[str, str] = {}
        self._done, self._pace = 0, progress.Pace()
        self._total, self._began = len(left), time.monotonic()

    def to_the_end(self) -> dict[str, str]:
        with Stopping() as stopping:
            try:
                while self._waiting or self._children:
                    if stopping.by:
                        raise Preempted(stopping.by)
                    self._start_waiting()
                    time.sleep(POLL)
                    self._collect()
            finally:
                self._stop(stopping)  # an error leaves no run behind either
        return self._failed

    def _is_finished(self, name: str) -> bool:
        cell = self._cells[name]
        return standing.of(cell, self._workdir / name) is Standing.FINISHED

    def _start_waiting(self) -> None:
        """Starts as many as have a slot; what another process has is put off."""
        for _ in range(len(self._waiting)):
            if not self._free:
                return
            name = self._waiting.popleft()
            try:
                self._check_unused(name)
            except lock.Busy as error:
                if time.monotonic() - self._began < PATIENCE:
                    self._waiting.append(name)
                else:
                    self._fail(name, str(error))
                continue
            self._next(name, self._free.pop(0))

    def _check_unused(self, name: str) -> None:
        """Raises `Busy` while another process trains in the folder."""
        folder = self._workdir / name
        if (folder / settings.LOCK).exists():
            with lock.held(folder / settings.LOCK, folder):
                pass

    def _next(self, name: str, slot: Slot) -> None:
        """Starts what comes next for a cell, or notes that it is finished."""
        folder = self._workdir / name
        try:
            arguments = standing.next_arguments(self._cells[name], folder)
            before = standing.stamps(folder)
        except UserError as error:
            self._free.append(slot)
            self._fail(name, str(error))
            return
        if not arguments:
            self._free.append(slot)
            self._end(f"{name}: finished")
            return
        log = self._workdir / f"{name}.log"
        self._children[Child(name, arguments, slot, log)] = before

    def _collect(self) -> None:
        """Looks after the children that have ended."""
        for child in [each for each in self._children if each.code is not None]:
            before, name = self._children.pop(child), child.cell_name
            try:
                self._check_end(child, before)
            except UserError as error:
                self._free.append(child.slot)
                self._fail(name, f"{error} (log: {child.log})")
            else:
                self._next(name, child.slot)

    def _check_end(self, child: Child, before: dict[str, int]) -> None:
        """Raises `UserError` if a child has not done what it was started for."""
        if child.code:
            raise UserError(child.last_words())
        cell, folder = self._cells[child.cell_name], self._workdir / child.cell_name
        if standing.of(cell, folder) in (Standing.NEW, Standing.BEGUN):
            raise UserError("it has ended without a result")
        if not child.is_evaluation:
            self._report(f"{cell.name}: trained in {child.seconds:.0f} s")
            return
        evaluation = standing.next_evaluation(cell, folder)
        if evaluation is not None:
            standing.mark(folder, evaluation, before)
            shown = f"{cell.name}: {' '.join(evaluation)}"
            self._report(f"{shown} in {child.seconds:.0f} s")

    def _fail(self, name: str, why: str) -> None:
        self._failed[name] = why
        self._end(f"{name}: failed: {why}")

    def _end(self, line: str) -> None:
        self._done += 1
        left = self._pace.remaining(self._done, self._total)
        count = f"{self._done} of {self._total}"
        self._report(f"{line} ({count}, {progress.eta_text(left)})")

    def _stop(self, stopping: Stopping) -> None:
        """Asks all children to stop, and waits until they have."""
        for child in self._children:
            child.ask_to_stop()
        while any(child.code is None for child in self._children):
            if stopping.at_once:
                for child in self._children:
                    child.kill()
            time.sleep(POLL)
