"""The records of `evaluation.json`, and the per-example files beside it.

A record is named after a checksum of every argument that its results depend on. The
same judgement again takes the place of its record; no other judgement does. What only
the earlier one has, such as the distances of a picture, stays.
"""

import contextlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from train.base import contents, files
from train.base.errors import UserError
from train.base.files import lock
from train.evaluation.judgement import Judgement

FILE, LOCK = "evaluation.json", ".evaluation.lock"

Record = dict[str, Any]


def read(workdir: files.Path) -> dict[str, Record]:
    """The records of a workdir by name, those of earlier versions too.

    Raises:
      UserError: the file is there, but it cannot be read or holds something else.
    """
    path = workdir / FILE
    if not path.exists():
        return {}
    records = contents.check_object(path, files.read_json(path))
    for name, record in records.items():
        where = f"{path}: the record {name!r}"
        contents.check_object(where, record, robust_accuracy=Mapping[str, float])
    return records


def add(workdir: files.Path, judgement: Judgement) -> None:
    """Writes the per-example file, then the record that names it.

    Several processes may add to one workdir at the same time.

    Raises:
      UserError: a file cannot be read or written.
    """
    with lock.awaited(workdir / LOCK, workdir):
        records = read(workdir)
        earlier = records.get(judgement.key, {})
        arrays = dict(judgement.per_example)
        if earlier:
            with contextlib.suppress(UserError):  # it is gone or damaged: written anew
                arrays = {**per_example(workdir, earlier), **arrays}
        _write_arrays(workdir / judgement.per_example_file, arrays)
        records[judgement.key] = {**earlier, **judgement.record}
        files.write_whole(workdir / FILE, files.to_json(records))


def per_example(workdir: files.Path, record: Record) -> dict[str, np.ndarray]:
    """The arrays of a record's per-example file.

    Raises:
      UserError: it cannot be read.
    """
    path = workdir / record["per_example"]
    with (
        files.reading(path),
        path.open("rb") as file,
        np.load(file, allow_pickle=False) as arrays,
    ):
        return dict(arrays)


def _write_arrays(path: files.Path, arrays: dict[str, np.ndarray]) -> None:
    with files.written(path):
        path.parent.mkdir(exist_ok=True)
    with files.whole(path) as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
