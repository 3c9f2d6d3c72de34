"""A file of finished batches, from which a stopped AutoAttack evaluation goes on.

Records are appended, each with its length and checksum. If a kill leaves an incomplete
record at the end, it is cut off, and its batch is attacked again.
"""

import io

import numpy as np

from ikl_jax.attacks.ensemble.passes import Record
from train.base.errors import UserError
from train.base.files import Path, growing


class Journal:
    """The records of one evaluation in a file.

    Attributes:
      path: of the file; in a bucket, of a folder.
      records: those that were there when it was opened.
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
        self.path, self.records = path, []
        self._parts = growing.parts(path)
        first, *others = self._parts.found or [b""]
        if not others:  # there is no record, so nothing is lost
            self._parts.clear()
            self._parts.append(fingerprint.encode())
            return
        found = first.decode(errors="replace")
        if found != fingerprint:
            self._parts.close()
            raise UserError(
                f"{path} holds the attacks of another model, data, key or epsilon: "
                f"{found}, not {fingerprint}. Delete it to start again"
            )
        self.records = [_unpacked(part) for part in others]

    def add(self, record: Record) -> None:
        """Appends a record, which is stored when this returns."""
        buffer = io.BytesIO()
        np.savez(buffer, **record._asdict())
        self._parts.append(buffer.getvalue())

    def close(self) -> None:
        self._parts.close()


def _unpacked(part: bytes) -> Record:
    with np.load(io.BytesIO(part), allow_pickle=False) as arrays:
        return Record(
            int(arrays["number"]), arrays["rows"], arrays["broken"], arrays["x_adv"],
            float(arrays["seconds"]),
        )  # fmt: skip
