"""A file of an evaluation's records, from which it goes on after a stop.

Records are appended, each with its length and checksum. What a kill leaves of one at
the end is cut off, and its batch is attacked again.
"""

import io
import os
import pathlib
import struct
import zlib

import numpy as np

from ikl_jax.attacks.ensemble.passes import Record
from train.base import files
from train.base.errors import UserError

HEADER = struct.Struct("<QI")  # bytes of what follows, and their checksum


class Journal:
    """The records in a file of one evaluation.

    Attributes:
      records: those that were there.
    """

    def __init__(self, path: pathlib.Path, fingerprint: str) -> None:
        """Opens or begins the file.

        Args:
          path: of the file.
          fingerprint: of the evaluation, which a file that is there must have.

        Raises:
          UserError: it is of another evaluation, or cannot be read or written.
        """
        self._path = path
        with files.written(path):
            path.touch()
            content = path.read_bytes()
        parts, whole = _parts(content)
        if len(parts) < 2:  # an evaluation that came to nothing may be of another
            whole = 0
            self.records = []
        else:
            told = parts[0].decode(errors="replace")
            if told != fingerprint:
                raise UserError(
                    f"{path} holds the attacks of another model, data, key or threat: "
                    f"{told}, not {fingerprint}. Delete it to begin anew"
                )
            self.records = [_unpacked(part) for part in parts[1:]]
        with files.written(path):
            self._file = path.open("r+b")
            self._file.truncate(whole)
            self._file.seek(whole)
        if not whole:
            self._append(fingerprint.encode())

    def add(self, record: Record) -> None:
        """Appends a record; it is on the disk when this returns."""
        buffer = io.BytesIO()
        np.savez(buffer, **record._asdict())
        self._append(buffer.getvalue())

    def close(self) -> None:
        self._file.close()

    def _append(self, part: bytes) -> None:
        with files.written(self._path):
            self._file.write(HEADER.pack(len(part), zlib.crc32(part)) + part)
            self._file.flush()
            os.fsync(self._file.fileno())


def _parts(content: bytes) -> tuple[list[bytes], int]:
    """The whole parts from the beginning on, and where they end."""
    parts, position = [], 0
    while position + HEADER.size <= len(content):
        size, crc = HEADER.unpack_from(content, position)
        start = position + HEADER.size
        part = content[start : start + size]
        if len(part) < size or zlib.crc32(part) != crc:
            break
        parts.append(part)
        position = start + size
    return parts, position


def _unpacked(part: bytes) -> Record:
    with np.load(io.BytesIO(part), allow_pickle=False) as arrays:
        return Record(
            int(arrays["number"]), arrays["rows"], arrays["broken"], arrays["x_adv"],
            float(arrays["seconds"]),
        )  # fmt: skip
