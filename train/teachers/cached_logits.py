"""The teacher's logits of each batch: computed as it comes, or once for all.

On images that are never augmented a teacher says the same in every epoch, and for
every student. With `teacher.cache` its logits of all training examples are computed
once and kept in a folder, row i for the i-th example of the training part; each run
that names the folder then only looks them up.
"""

import os
import pathlib
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from rich.console import Console

from ikl_jax.types import Array
from train.base import contents, files
from train.base.config import DataConfig
from train.base.errors import UserError
from train.data import fingerprint, pipeline
from train.devices import processes, sharding
from train.experiment.run import Run
from train.teachers.teacher import Teacher

LOGITS, ABOUT = "logits.npy", "about.json"
CHUNK = 1 << 26  # bytes that are summed at a time


class TeacherLogits(NamedTuple):
    """Where a run's batches get their `teacher_logits` from.

    Attributes:
      provenance: fingerprints that must not change when a run goes on.
      columns: rows that join each training example as it is read.
      added: a batch on the devices, with what is computed there.
    """

    provenance: dict[str, str]
    columns: dict[str, np.ndarray]
    added: Callable[[dict[str, Array]], dict[str, Array]]


def of(run: Run, console: Console, between: Callable[[], None]) -> TeacherLogits:
    """The source of the teacher's logits; empty if no teacher is named.

    Args:
      run: with `teacher.path` and, for logits that are kept, `teacher.cache`.
      console: for a line when a cache is computed.
      between: called again and again meanwhile, so that it can raise to interrupt.

    Raises:
      UserError: the teacher cannot be read, does not fit the run, or the cache is of
        another teacher or other data.
    """
    teacher = Teacher.of(run)
    if teacher is None:
        return TeacherLogits({}, {}, lambda batch: batch)
    provenance = {"teacher": teacher.digest}
    if not run.config.teacher.cache:
        return TeacherLogits(provenance, {}, _computing(teacher))
    folder = files.local(run.config.teacher.cache, "teacher.cache")
    about = {
        "teacher": teacher.digest,
        "dtype": run.config.teacher.dtype,
        "training part": fingerprint.of_split(run.data.train),
        "image size": _image_size(run.config.data),
        "shape": [len(run.data.train), run.num_logits],
    }
    there = processes.everywhere((folder / ABOUT).exists())
    if not there:
        console.print(
            f"computing the teacher's logits of {len(run.data.train):,} examples: "
            f"{folder}", highlight=False,
        )  # fmt: skip
        _compute(folder, about, teacher, run, between)
    logits = _opened(folder, about)
    return TeacherLogits(provenance, {"teacher_logits": logits}, lambda batch: batch)


def _image_size(data_config: DataConfig) -> list[int | str]:
    """How the images of files are brought to their size."""
    sizes: list[int | str] = [data_config.image_size, data_config.resize_shorter]
    return [*sizes, "exif_rotation"] if data_config.exif_rotation else sizes


def _computing(teacher: Teacher) -> Callable[[dict[str, Array]], dict[str, Array]]:
    return lambda batch: batch | {"teacher_logits": teacher.logits(batch["image"])}


def _compute(
    folder: pathlib.Path,
    about: dict[str, Any],
    teacher: Teacher,
    run: Run,
    between: Callable[[], None],
) -> None:
    """Writes the logits, then about.json; a folder without it is incomplete."""
    # An unfinished cache may be there: it is computed again.
    ours = (LOGITS, f".{LOGITS}.", ABOUT, f".{ABOUT}.")
    processes.on_main(lambda: files.claim(folder, "teacher.cache", ours))
    parts = _in_order(teacher, run, between)
    if processes.is_main():
        crc = _write(folder / LOGITS, tuple(about["shape"]), parts)
        files.write_whole(folder / ABOUT, files.to_json({**about, "crc32": crc}))
    else:
        for _ in parts:
            pass
    processes.barrier("teacher's logits")


def _in_order(
    teacher: Teacher, run: Run, between: Callable[[], None]
) -> Iterator[np.ndarray]:
    """The logits of the training part, a batch `[b, C]` at a time, on every process."""
    size, split = run.config.evaluation.batch_size, run.data.train
    gathered = jax.jit(lambda x: x, out_shardings=sharding.replicated(run.mesh))
    examples = np.arange(len(split))
    batches = pipeline.evaluation_batches(split, size, examples, run.local_rows)
    for batch, valid in batches:
        between()
        images = sharding.put({"image": batch["image"]}, run.mesh)["image"]
        yield np.asarray(gathered(teacher.logits(images)))[valid]


def _write(
    path: pathlib.Path, shape: tuple[int, ...], parts: Iterable[np.ndarray]
) -> int:
    """One .npy file, whole or not at all; returns the checksum of its rows."""
    # Its own name: another run may be computing the same logits.
    crc, temporary = 0, path.with_name(f".{path.name}.{os.getpid()}.tmp")
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    with files.written(path):
        with temporary.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for rows in parts:
                content = rows.astype("<f4").tobytes()
                file.write(content)
                crc = zlib.crc32(content, crc)
        temporary.replace(path)
    return crc


def _opened(folder: pathlib.Path, expected: dict[str, Any]) -> np.ndarray:
    """The logits, left on disk; refused unless they are of what is expected."""
    about = contents.check_object(folder / ABOUT, files.read_json(folder / ABOUT))
    for name, now in expected.items():
        if (before := about.get(name)) != now:
            raise UserError(
                f"teacher.cache: the logits in {folder} are of another {name}: it was "
                f"{before}, now it is {now}. Name another folder, or delete this one"
            )
    with files.reading(folder / LOGITS, " as teacher.cache"):
        logits = np.load(folder / LOGITS, mmap_mode="r", allow_pickle=False)
    if list(logits.shape) != expected["shape"] or _checksum(logits) != about.get(
        "crc32"
    ):
        raise UserError(
            f"teacher.cache: {folder / LOGITS} is damaged; delete {folder}, and it is "
            "computed again"
        )
    return logits


def _checksum(rows: np.ndarray) -> int:
    crc, step = 0, max(CHUNK // (4 * rows.shape[1]), 1)
    for start in range(0, len(rows), step):
        crc = zlib.crc32(rows[start : start + step].tobytes(), crc)
    return crc
