"""Metrics in files: one JSON object a line, and TensorBoard."""

import contextlib
import io
import json
import pathlib
from collections.abc import Iterator, Mapping

from tensorboardX import SummaryWriter, record_writer

from train.base import files, terminal
from train.base.errors import UserError
from train.base.files import Path
from train.base.files.growing import Lines
from train.experiment import metrics_log

NAME, DAMAGED = metrics_log.NAME, "metrics_damaged.jsonl"
LOCAL = "disk"  # stands before the path of events on a disk, as a scheme
EVALUATED = "eval_natural_accuracy"  # the lines of evaluations have it


class MetricsWriter:
    """Appends to `metrics.jsonl` and to TensorBoard's events in `workdir`.

    Lines after `resumed_step` are deleted: a killed run wrote them after its last
    checkpoint, and will write them again. With `again`, the evaluations of that step
    are deleted too, because they will be made again. A file with damaged lines is kept
    under another name.
    """

    def __init__(
        self, workdir: Path, resumed_step: int, *, again: bool = False
    ) -> None:
        kept = [
            line
            for line in logged(workdir, until=resumed_step)
            if not (again and line["step"] == resumed_step and EVALUATED in line)
        ]
        _keep_damaged(workdir)
        content = "".join(json.dumps(line) + "\n" for line in kept)
        self._lines = Lines(workdir / NAME, content.encode())
        events = str(workdir / "tensorboard")
        if files.is_local(workdir):
            record_writer.register_writer_factory(LOCAL, EventsOnADisk)
            events = f"{LOCAL}:{events}"
        else:
            scheme = str(workdir).partition(":")[0]
            record_writer.register_writer_factory(scheme, _EventsInABucket)
        self._events = SummaryWriter(events, purge_step=resumed_step + 1)

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        line = json.dumps({"step": step, **metrics}) + "\n"
        self._lines.append(line.encode())
        for name, value in metrics.items():
            self._events.add_scalar(name, value, step)

    def sync(self) -> None:
        """Called before a checkpoint is saved, so that no line before it is lost."""
        self._lines.sync()

    def close(self) -> None:
        self._lines.close()
        self._events.close()


class EventsOnADisk:
    """TensorBoard's events as `tensorboardX` writes them to a path with a scheme.

    A thread of tensorboardX calls this, and the run would hang if that thread ended by
    an error: a disk that is full gives a warning, and no more events are written.
    """

    def __init__(self, path: str) -> None:
        self._path = pathlib.Path(path.removeprefix(f"{LOCAL}:"))
        self._file: io.BufferedWriter | None = None
        with self._warned():
            self._file = self._path.open("wb")

    @staticmethod
    def directory_check(path: str) -> None:
        folder = pathlib.Path(path.removeprefix(f"{LOCAL}:"))
        with files.written(folder):
            folder.mkdir(parents=True, exist_ok=True)

    @classmethod
    def open(cls, path: str) -> "EventsOnADisk":
        return cls(path)

    def write(self, content: bytes) -> None:
        with self._warned():
            if self._file is not None:
                self._file.write(content)

    def flush(self) -> None:
        with self._warned():
            if self._file is not None:
                self._file.flush()

    def close(self) -> None:
        with self._warned():
            if self._file is not None:
                self._file.close()

    @contextlib.contextmanager
    def _warned(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            terminal.warn(f"cannot write {self._path}: {error}")
            file, self._file = self._file, None
            if file is not None:
                file.raw.close()  # without the rest, which cannot be written


class _EventsInABucket:
    """The same in a bucket.

    They are uploaded whole at each flush, which is every two minutes. An upload that
    fails gives a warning, and the next one repeats it.
    """

    def __init__(self, path: str) -> None:
        self._path, self._content = files.named(path, "the events"), bytearray()

    @staticmethod
    def directory_check(path: str) -> None:
        """A bucket needs no folders."""

    @classmethod
    def open(cls, path: str) -> "_EventsInABucket":
        return cls(path)

    def write(self, content: bytes) -> None:
        self._content += content

    def flush(self) -> None:
        try:
            with files.whole(self._path) as file:
                file.write(self._content)
        except UserError as error:
            terminal.warn(error)

    def close(self) -> None:
        self.flush()


class NoWriter:
    """Writes nothing: on the other processes, whose metrics are the first one's."""

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        pass

    def sync(self) -> None:
        pass

    def close(self) -> None:
        pass


def logged(workdir: Path, *, until: int) -> list[dict[str, float]]:
    """The lines of a run's `metrics.jsonl` up to a step."""
    lines = [metrics_log.line(text) for text in metrics_log.texts(workdir)]
    return [line for line in lines if line is not None and line["step"] <= until]


def _keep_damaged(workdir: Path) -> None:
    """Keeps the file under another name if a line of it is damaged.

    The last line of a killed run may be cut, which is no damage.
    """
    if any(metrics_log.line(text) is None for text in metrics_log.texts(workdir)[:-1]):
        files.move(workdir / NAME, files.unused(workdir / DAMAGED))
