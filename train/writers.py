"""Metrics on disk: one JSON object a line, and TensorBoard."""

import json
import pathlib
from collections.abc import Mapping

from tensorboardX import SummaryWriter


class MetricsWriter:
    """Appends to `metrics.jsonl` and to TensorBoard's events in `workdir`."""

    def __init__(self, workdir: pathlib.Path, resumed_step: int) -> None:
        path = workdir / "metrics.jsonl"
        _drop_after(path, resumed_step)
        self._lines = path.open("a")
        self._events = SummaryWriter(
            str(workdir / "tensorboard"), purge_step=resumed_step + 1
        )

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        self._lines.write(json.dumps({"step": step, **metrics}) + "\n")
        self._lines.flush()
        for name, value in metrics.items():
            self._events.add_scalar(name, value, step)

    def close(self) -> None:
        self._lines.close()
        self._events.close()


def _drop_after(path: pathlib.Path, step: int) -> None:
    """Forgets what a killed run wrote after the checkpoint that it resumes from."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text().splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except json.JSONDecodeError:
            pass  # the last line of a killed run may be cut
    path.write_text("".join(kept))
