"""A file of finished parts of an evaluation, from which it goes on when it was stopped.

Parts are appended, each with its length and checksum. If a kill leaves an incomplete
part at the end, it is cut off, and its examples are evaluated again.
"""

import io
from collections.abc import Mapping

import numpy as np

from train.base.errors import UserError
from train.base.files import Path, growing

Part = dict[str, np.ndarray]


class Journal:
    """The parts of one evaluation in a file.

    Attributes:
      path: of the file; in a bucket, of a folder.
      parts: those that were there when it was opened.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        """Opens the file, or creates it.

        Args:
          path: of the file.
          fingerprint: of the evaluation. An existing file must have the same.

        Raises:
          UserError: the file is of another evaluation, cannot be read or written, or
            another process is adding to it.
        """
        self.path, self.parts = path, []
        self._file = growing.parts(path)
        first, *others = self._file.found or [b""]
        if not others:  # there is no part, so nothing is lost
            self._file.clear()
            self._file.append(fingerprint.encode())
            return
        found = first.decode(errors="replace")
        if found != fingerprint:
            self._file.close()
            raise UserError(
                f"{path} holds the attacks of another model, data, key or epsilon: "
                f"{found}, not {fingerprint}. Delete it to start again"
            )
        self.parts = [_unpacked(part) for part in others]

    def add(self, part: Mapping[str, np.ndarray | float]) -> None:
        """Appends named arrays, which are stored when this returns."""
        buffer = io.BytesIO()
        np.savez(buffer, **part)  # type: ignore[arg-type]
        self._file.append(buffer.getvalue())

    def close(self) -> None:
        self._file.close()


def _unpacked(part: bytes) -> Part:
    with np.load(io.BytesIO(part), allow_pickle=False) as arrays:
        return dict(arrays)
