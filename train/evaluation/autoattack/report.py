"""Keeps the records of an AutoAttack evaluation, and prints how far it is."""

from collections.abc import Callable, Sequence

import numpy as np
from rich.console import Console

from ikl_jax.attacks.ensemble.passes import Progress, Record
from train.base.progress import ProgressPrinter
from train.evaluation.autoattack.remaining import CompileTime, RemainingTime


class Report:
    """Keeps each record in the journal, and prints from time to time how far it is.

    Attributes:
      broken_in: `[N]`, the number of the pass that broke each example; -1: none so far.
      compiling: counts the time that goes into programs; enter it around the attack.
    """

    def __init__(
        self,
        keep: Callable[[Record], None],
        earlier: Sequence[Record],
        count: int,
        stages: Sequence[str],
        console: Console,
    ) -> None:
        """A report that has nothing to print yet.

        Args:
          keep: appends a record to the journal.
          earlier: the records that the evaluation goes on from.
          count: of examples.
          stages: the stage of each pass.
          console: to print to.
        """
        self.broken_in = np.full(count, -1)
        self._keep, self._printer = keep, ProgressPrinter(console)
        self._remaining, self.compiling = RemainingTime(stages), CompileTime()
        for record in earlier:
            self._note(record, 0.0)

    def __call__(self, record: Record, progress: Progress) -> None:
        self._keep(record)
        self._note(record, self.compiling.within(record.seconds))
        self._printer.line(
            f"pass {progress.number + 1}/{progress.passes}  robust so far "
            f"{100 * progress.robust_accuracy:.2f}%",
            self._remaining.seconds(progress.robust),
            at_most=True,
        )

    def _note(self, record: Record, compiling: float) -> None:
        self._remaining.add(record, compiling)
        self.broken_in[record.rows[record.broken]] = record.number
