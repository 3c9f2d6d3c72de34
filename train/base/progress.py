"""Progress of long work: how fast it goes, how long the rest takes, a line of it."""

import time

from rich.console import Console

EVERY = 10.0  # seconds between two lines


class Pace:
    """The speed of work since this object was created.

    Work is counted in any unit (steps, images, batches). `done` is the amount that was
    finished before: it counts as finished, but took none of the time measured here.
    """

    def __init__(self, done: float = 0.0) -> None:
        self._first, self._start = done, time.monotonic()

    def rate(self, done: float) -> float:
        """Units a second, when `done` units are finished."""
        return (done - self._first) / max(time.monotonic() - self._start, 1e-9)

    def remaining(self, done: float, total: float) -> float | None:
        """Seconds until `total` units are finished; None before the first unit is."""
        if done >= total:
            return 0.0
        rate = self.rate(done)
        return (total - done) / rate if rate > 0 else None


class ProgressPrinter:
    """Prints a line of progress and the remaining time, at most every `every` seconds.

    Attributes:
      pace: of the work.
    """

    def __init__(
        self, console: Console, *, done: float = 0.0, every: float = EVERY
    ) -> None:
        self._console, self._every = console, every
        self._printed = time.monotonic()
        self.pace = Pace(done)

    def update(self, done: float, total: float, text: str) -> None:
        """Prints `text` and the remaining time, unless a line was printed just now.

        `total` may differ from one call to the next, where the amount of work is only
        known as it goes on.
        """
        self.line(text, self.pace.remaining(done, total))

    def line(
        self, text: str, remaining: float | None, *, at_most: bool = False
    ) -> None:
        """Prints `text` and a remaining time, unless a line was printed just now."""
        now = time.monotonic()
        if now - self._printed < self._every:
            return
        self._printed = now
        eta = eta_text(remaining, at_most=at_most)
        self._console.print(f"{text}  {eta}", highlight=False, soft_wrap=True)


def eta_text(seconds: float | None, *, at_most: bool = False) -> str:
    """The remaining time as it is printed.

    Args:
      seconds: the time; None: not known yet.
      at_most: whether it is a bound, and the true time probably less.

    >>> eta_text(51.3), eta_text(51.3, at_most=True), eta_text(None)
    ('ETA 51s', 'ETA at most 51s', 'ETA ?')
    """
    if seconds is None:
        return "ETA ?"
    return f"ETA {'at most ' if at_most else ''}{seconds:.0f}s"
