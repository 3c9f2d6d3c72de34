"""Metrics on disk: one JSON object a line, and TensorBoard."""

import json
import pathlib
from collections.abc import Mapping

from tensorboardX import SummaryWriter

from train.base import files

NAME = "metrics.jsonl"
EVALUATED = "eval_natural_accuracy"  # the lines of evaluations have it


class MetricsWriter:
    """Appends to `metrics.jsonl` and to TensorBoard's events in `workdir`.

    Lines after `resumed_step` are deleted: a killed run wrote them after its last
    checkpoint, and will write them again. With `again`, the evaluations of that step
    are deleted too, because they will be made again.
    """

    def __init__(
        self, workdir: pathlib.Path, resumed_step: int, *, again: bool = False
    ) -> None:
        kept = [
            line
            for line in logged(workdir, until=resumed_step)
            if not (again and line["step"] == resumed_step and EVALUATED in line)
        ]
        files.write_whole(
            workdir / NAME, "".join(json.dumps(line) + "\n" for line in kept)
        )
        self._path = workdir / NAME
        self._lines = self._path.open("a")
        self._events = SummaryWriter(
            str(workdir / "tensorboard"), purge_step=resumed_step + 1
        )

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        with files.written(self._path):
            self._lines.write(json.dumps({"step": step, **metrics}) + "\n")
            self._lines.flush()
        for name, value in metrics.items():
            self._events.add_scalar(name, value, step)

    def close(self) -> None:
        self._lines.close()
        self._events.close()


class NoWriter:
    """Writes nothing: on the other processes, whose metrics are the first one's."""

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        pass

    def close(self) -> None:
        pass


def logged(workdir: pathlib.Path, *, until: int) -> list[dict[str, float]]:
    """The lines of a run's `metrics.jsonl` up to a step."""
    path = workdir / NAME
    lines = []
    for text in path.read_text().splitlines() if path.exists() else ():
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue  # the last line of a killed run may be cut
        if line["step"] <= until:
            lines.append(line)
    return lines
