"""The folder of a sweep: `sweep.json` says that it is one, and a lock that it is used.

Beside these it holds a folder and a log for each run.
"""

import contextlib
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from train.base import files
from train.base.errors import UserError
from train.base.files import lock
from train.reports import folders
from train.reports.folders import SWEEP

LOCK = ".sweep.lock"


def check(workdir: pathlib.Path) -> None:
    """Raises `UserError` if the folder holds something that no sweep has made."""
    if workdir.exists() and not workdir.is_dir():
        raise UserError(f"--workdir must be a folder, got the file {workdir}")
    if not workdir.exists() or (workdir / SWEEP).exists():
        return
    with files.reading(workdir):
        ours = (LOCK, files.unfinished_name(SWEEP))
        others = sorted(
            path.name for path in workdir.iterdir() if path.name not in ours
        )
    if others:
        what = "a run" if "config.json" in others else others[0]
        raise UserError(
            f"--workdir must be a folder of its own, got {workdir}, which holds {what} "
            f"and no {SWEEP}"
        )


@contextlib.contextmanager
def claimed(
    workdir: pathlib.Path, runs: Sequence[str], description: Mapping[str, Any]
) -> Iterator[None]:
    """Holds the folder, which is created, while a sweep works in it.

    Args:
      workdir: of the sweep.
      runs: the names of its runs; those of earlier commands come after them.
      description: the command, for people.

    Raises:
      UserError: another sweep works there, or the folder cannot be written.
    """
    check(workdir)
    with files.written(workdir):
        workdir.mkdir(parents=True, exist_ok=True)
    with lock.held(workdir / LOCK, workdir):
        earlier = [n for n in folders.sweep_runs(workdir) if n not in runs]
        content = {**description, "runs": [*runs, *earlier]}
        files.write_whole(workdir / SWEEP, files.to_json(content))
        yield
