"""What the user sees during training: one live line, or plain lines."""

from collections.abc import Mapping

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from train.base.progress import Pace, eta_text

DISPLAYED = ("loss", "natural_accuracy", "robust_accuracy")


class Display:
    """Progress over `total` steps: a live line on a terminal, else plain lines."""

    def __init__(self, console: Console, *, total: int, done: int, epochs: int) -> None:
        self._console = console
        self._total, self._epochs = total, epochs
        self._pace = Pace(done)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[metrics]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task(
            "training", total=total, completed=done, rate="", metrics=""
        )

    def __enter__(self) -> "Display":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def step(self, step: int, epoch: int) -> None:
        self._progress.update(
            self._task,
            completed=step,
            description=f"epoch {epoch}/{self._epochs}",
            rate=f"{self._pace.rate(step):.1f} step/s",
        )

    def metrics(self, metrics: Mapping[str, float]) -> None:
        self._progress.update(self._task, metrics=_line(metrics))

    def epoch(self, step: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """Prints a line after each evaluation, and else about twenty lines in a run."""
        evaluated = any(name.startswith("eval_") for name in metrics)
        regular = epoch % max(1, self._epochs // 20) == 0
        if not (evaluated or regular or step == self._total):
            return
        eta = eta_text(self._pace.remaining(step, self._total))
        self._console.print(
            f"epoch {epoch:>3}/{self._epochs}  step {step}/{self._total}  "
            f"{self._pace.rate(step):.1f} step/s  {eta}  {_line(metrics)}",
            highlight=False,
            soft_wrap=True,
        )


def _line(metrics: Mapping[str, float]) -> str:
    parts = []
    for name, value in metrics.items():
        short = name.removeprefix("eval_")
        if short in DISPLAYED:
            where = "held-out " if name.startswith("eval_") else ""
            label = short.removesuffix("_accuracy")
            text = (
                f"{100 * value:.1f}%" if short.endswith("accuracy") else f"{value:.3f}"
            )
            parts.append(f"{where}{label} {text}")
    return "  ".join(parts)
