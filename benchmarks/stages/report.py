"""What a stage is given, and how it hands its results over, one by one."""

import contextlib
import dataclasses
import json
import time
from collections.abc import Iterator
from typing import IO

Cell = str | int | float | bool | None


@dataclasses.dataclass(frozen=True)
class Order:
    """What a stage is given.

    Attributes:
      rehearse: take tiny sizes, which show that all runs and say nothing of speed.
      seconds: the time budget; the process is killed after it.
      output: a folder for files that a stage keeps.
      data: a folder with the four idx files of Fashion-MNIST; "": there is none.
    """

    rehearse: bool
    seconds: float
    output: str
    data: str = ""


class Report:
    """Writes rows of tables and notes to a stream, a line of JSON each.

    A line is complete when the call returns, so a stage that is killed keeps the rows
    that it had reported.
    """

    def __init__(self, stream: IO[str], seconds: float = float("inf")) -> None:
        self._stream = stream
        self._end = time.monotonic() + seconds

    @property
    def seconds_left(self) -> float:
        """Until the stage is killed."""
        return self._end - time.monotonic()

    def row(self, table: str, **cells: Cell) -> None:
        """Adds a row to a table; the names of the cells are its columns."""
        self._send({"table": table, "cells": cells})

    def note(self, text: str) -> None:
        self._send({"note": text})

    @contextlib.contextmanager
    def attempt(self, table: str, **cells: Cell) -> Iterator[None]:
        """What raises inside becomes a row with the error, and the stage goes on."""
        try:
            yield
        except Exception as error:
            lines = str(error).strip().splitlines()
            text = f"{type(error).__name__}: {lines[0] if lines else 'no message'}"
            self.row(table, **cells, error=text[:300])

    def _send(self, message: dict[str, object]) -> None:
        self._stream.write(json.dumps(message) + "\n")
        self._stream.flush()
