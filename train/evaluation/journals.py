"""The journals of one evaluation: one for each process that works on it.

A part of a journal says which examples it is about, so whatever number of processes
goes on with an evaluation reads the journals of all that worked on it before.

The lock of the first process's journal is that of the evaluation: whoever begins opens
that journal first, and then looks whether any of the others is still in use.
"""

import re
from collections.abc import Mapping

import jax
import numpy as np
from rich.console import Console

from train.base import files
from train.base.errors import UserError
from train.base.files import Path, growing
from train.devices import processes
from train.evaluation.journal import Journal, Part

SUFFIX = ".journal"


class Journals:
    """The journals of one evaluation, of which each process adds to its own.

    Every process opens them, and calls `collect` and `delete`, at the same time.

    Attributes:
      parts: on the first process, those of all journals; on the others, none.
    """

    def __init__(self, workdir: Path, name: str, fingerprint: str) -> None:
        """Opens the journals, or creates them.

        Args:
          workdir: the folder that they lie in, which all processes share.
          name: of the evaluation, the beginning of the journals' names.
          fingerprint: of the evaluation, which is in each journal.

        Raises:
          UserError: a journal cannot be read or written, is of another evaluation or in
            use by a process of another one, or the processes share no workdir.
        """
        self.parts: list[Part] = []
        self._workdir, self._name, self._fingerprint = workdir, name, fingerprint
        self._own: Journal | None = None
        processes.on_main(self._open_first)
        processes.everyone(self._open_other)

    @property
    def path(self) -> Path:
        """That of this process's journal."""
        return self._path(jax.process_index())

    def tell(self, console: Console) -> None:
        """Says so, if an evaluation goes on."""
        if self.parts:
            console.print(
                f"going on after {len(self.parts)} batches in {self.path}",
                highlight=False,
            )

    def add(self, part: Mapping[str, np.ndarray | float]) -> None:
        """Appends named arrays to this process's journal; stored when this returns."""
        assert self._own is not None
        self._own.add(part)

    def collect(self) -> None:
        """Waits for all processes, and updates `parts`; only the first one may go on.

        Where there is one process alone, `parts` stay what they were.
        """
        if not processes.several():
            return
        self.close()
        processes.wait("evaluated")
        processes.on_main(self._open_first)

    def close(self) -> None:
        if self._own is not None:
            self._own.close()
            self._own = None

    def delete(self) -> None:
        """Closes and deletes the journals, once nobody needs them any more."""
        self.close()
        processes.wait("deleted")
        if processes.is_main():
            for path in self._paths():
                growing.delete_parts(path)

    def _open_first(self) -> None:
        first = self._path(0)
        self._own = self._journal(first)
        self.parts = self._own.parts
        try:
            for path in self._paths():
                if path != first:
                    other = self._journal(path)
                    self.parts = self.parts + other.parts
                    other.close()
        except UserError:
            self.close()
            raise

    def _open_other(self) -> None:
        if processes.is_main():
            return
        if not self._path(0).exists():
            raise UserError(
                "--workdir must be a folder that all processes share, got "
                f"{self._workdir}: {self._path(0).name}, which process 0 has written, "
                "is not there"
            )
        self._own = self._journal(self.path)

    def _journal(self, path: Path) -> Journal:
        return Journal(path, self._fingerprint)

    def _path(self, process: int) -> Path:
        number = f".{process}" if process else ""
        return self._workdir / f"{self._name}{number}{SUFFIX}"

    def _paths(self) -> list[Path]:
        """Those of all journals that are there."""
        ours = re.compile(rf"{re.escape(self._name)}(\.\d+)?{re.escape(SUFFIX)}")
        with files.reading(self._workdir):
            return sorted(
                path for path in self._workdir.iterdir() if ours.fullmatch(path.name)
            )
