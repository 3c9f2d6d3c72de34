"""A file of finished batches, from which a stopped AutoAttack evaluation goes on.

Records are appended, each with its length and checksum. If a kill leaves an incomplete
record at the end, it is cut off, and its batch is attacked again.
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

HEADER = struct.Struct("<QI")  # number of bytes that follow, and their checksum


class Journal:
    """The records of one evaluation in a file.

    Attributes:
      path: of the file.
      records: those that the file held when it was opened.
    """

    def __init__(self, path: pathlib.Path, fingerprint: str) -> None:
        """Opens the file, or creates it.

        Args:
          path: of the file.
          fingerprint: of the evaluation. An existing file must have the same.

        Raises:
          UserError: the file is of another evaluation, or cannot be read or written.
        """
        self.path = path
        with files.written(path):
            path.touch()
            content = path.read_bytes()
        parts, whole = _parts(content)
        if len(parts) < 2:  # there is no record, so nothing is lost
            whole = 0
            self.records = []
        else:
            found = parts[0].decode(errors="replace")
            if found != fingerprint:
                raise UserError(
                    f"{path} holds the attacks of another model, data, key or epsilon: "
                    f"{found}, not {fingerprint}. Delete it to start again"
                )
            self.records = [_unpacked(part) for part in parts[1:]]
        with files.written(path):
            self._file = path.open("r+b")
            self._file.truncate(whole)
            self._file.seek(whole)
        if not whole:
            self._append(fingerprint.encode())

    def add(self, record: Record) -> None:
        """Appends a record, which is on the disk when this returns."""
        buffer = io.BytesIO()
        np.savez(buffer, **record._asdict())
        self._append(buffer.getvalue())

    def close(self) -> None:
        self._file.close()

    def _append(self, part: bytes) -> None:
        with files.written(self.path):
            self._file.write(HEADER.pack(len(part), zlib.crc32(part)) + part)
            self._file.flush()
            os.fsync(self._file.fileno())


def _parts(content: bytes) -> tuple[list[bytes], int]:
    """The complete parts at the beginning of a file, and where they end."""
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
