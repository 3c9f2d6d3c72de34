"""Plants defects in a copy of the code and says which of them no test notices.

`python tests/planted.py` applies each defect of `tests/defects/` to a copy of the
checkout, by itself, and runs the test files that it names, with the markers of
`make test`; with `--long`, also those of `make test-long` where the first notice
nothing. It prints a line for each defect and exits with 1 if one was noticed by nobody
or cannot be planted. The copy without a defect must pass the same tests first.
"""

import argparse
import contextlib
import dataclasses
import os
import pathlib
import queue
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from tests.defects import ROOMS
from tests.defects.defect import Defect
from tests.support.forked import TIMED_OUT, run_pytest

QUICK, LONG = "not long and not slow and not tpu", "long and not slow and not tpu"
TIMEOUT = 900  # seconds; tests that do not end have noticed something
LEFT_OUT = (".git", ".venv", ".cache", ".*_cache", "__pycache__", "runs", "site")
NOBODY = "NOBODY"
CANNOT = "CANNOT BE PLANTED"


class CannotPlant(Exception):
    """A defect's text does not occur exactly once where it should."""


@dataclasses.dataclass(frozen=True)
class Noticed:
    """Which test noticed a defect first, or `NOBODY`, and how long that took."""

    by: str
    seconds: float


def located(defect: Defect, root: pathlib.Path) -> pathlib.Path:
    """The file that the defect changes.

    Raises:
      CannotPlant: its text does not occur exactly once in its file or folder, or it
        names tests that are not there.
    """
    where = root / defect.where
    files = sorted(where.rglob("*.py")) if where.is_dir() else [where]
    counts = {
        path: path.read_text().count(defect.old) for path in files if path.exists()
    }
    if (total := sum(counts.values())) != 1:
        raise CannotPlant(f"{defect.old!r} occurs {total} times in {defect.where}")
    if missing := [name for name in defect.tests if not (root / name).exists()]:
        raise CannotPlant(f"there are no tests {', '.join(missing)}")
    return next(path for path, count in counts.items() if count)


@contextlib.contextmanager
def planted(defect: Defect, root: pathlib.Path) -> Iterator[None]:
    """Changes the copy at `root`, and changes it back."""
    path = located(defect, root)
    text = path.read_text()
    path.write_text(text.replace(defect.old, defect.new))
    try:
        yield
    finally:
        path.write_text(text)


def run_tests(root: pathlib.Path, tests: Sequence[str], markers: str) -> Noticed:
    """Runs the tests in the copy at `root` until one fails."""
    start = time.monotonic()
    arguments = ["-x", "-q", "-m", markers, *tests]
    code, output = run_pytest(root, arguments, TIMEOUT)
    seconds = time.monotonic() - start
    if code == TIMED_OUT:
        return Noticed(f"tests that did not end in {TIMEOUT} s", seconds)
    failures = re.findall(r"^(?:FAILED|ERROR) (\S+)", output, re.M)
    if failures:
        return Noticed(failures[0], seconds)
    if code < 0:
        return Noticed(f"tests that were ended by signal {-code}", seconds)
    # 5: no test has these markers.
    if code not in (0, 5):
        raise RuntimeError(f"pytest {' '.join(arguments)} ended with {code}:\n{output}")
    return Noticed(NOBODY, seconds)


def notice(defect: Defect, root: pathlib.Path, *, long: bool) -> Noticed:
    """Which test of the defect's notices it."""
    seconds = 0.0
    try:
        with planted(defect, root):
            for markers in (QUICK, LONG) if long else (QUICK,):
                noticed = run_tests(root, defect.tests, markers)
                seconds += noticed.seconds
                if noticed.by != NOBODY:
                    break
    except CannotPlant as error:
        return Noticed(f"{CANNOT}: {error}", 0.0)
    return Noticed(noticed.by, seconds)


def chosen(only: str | None) -> dict[str, list[Defect]]:
    """The defects by room; of one room or one file of it, if `only` names it."""
    if only is None:
        return ROOMS
    if only in ROOMS:
        return {only: ROOMS[only]}
    found = {
        room: [defect for defect in defects if only in f"{defect.where} {defect.says}"]
        for room, defects in ROOMS.items()
    }
    return {room: defects for room, defects in found.items() if defects}


def check_untouched(root: pathlib.Path, defects: Sequence[Defect], long: bool) -> None:
    """Exits unless the copy passes all tests that the defects name."""
    tests = sorted({name for defect in defects for name in defect.tests})
    for markers in (QUICK, LONG) if long else (QUICK,):
        noticed = run_tests(root, tests, markers)
        if noticed.by != NOBODY:
            sys.exit(f"without any defect {noticed.by} fails already")
    print(f"without any defect, all tests of {len(tests)} files pass", flush=True)


@contextlib.contextmanager
def copies(count: int) -> Iterator[queue.Queue[pathlib.Path]]:
    """Copies of the checkout, for those who take one and put it back."""
    free: queue.Queue[pathlib.Path] = queue.Queue()
    with tempfile.TemporaryDirectory(prefix="planted") as folder:
        for number in range(count):
            copy = pathlib.Path(folder) / str(number)
            shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*LEFT_OUT))
            free.put(copy)
        yield free


def print_table(
    rooms: Mapping[str, Sequence[Defect]], *, long: bool, jobs: int, trust: bool
) -> int:
    """Prints a line for each defect; returns how many are noticed."""
    defects = [(room, defect) for room, members in rooms.items() for defect in members]
    noticed_by_a_test = 0
    with copies(jobs) as free, ThreadPoolExecutor(jobs) as pool:
        if not trust:
            copy = free.get()
            check_untouched(copy, [defect for _, defect in defects], long)
            free.put(copy)

        def in_a_copy(defect: Defect) -> Noticed:
            copy = free.get()
            try:
                return notice(defect, copy, long=long)
            finally:
                free.put(copy)

        results = pool.map(in_a_copy, [defect for _, defect in defects])
        for (room, defect), noticed in zip(defects, results, strict=True):
            row = (room, defect.says, noticed.by, f"{noticed.seconds:.0f} s")
            print(f"| {' | '.join(row)} |", flush=True)
            noticed_by_a_test += not noticed.by.startswith((NOBODY, CANNOT))
    return noticed_by_a_test


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table; the exit code is 1 if a defect is noticed by nobody."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--only", help="a room, or a part of a path or description")
    parser.add_argument("--list", action="store_true", help="run no test")
    parser.add_argument("--long", action="store_true", help="run long tests as well")
    parser.add_argument(
        "--trust", action="store_true", help="do not test the copy without a defect"
    )
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count(), help="tests that run side by side"
    )
    given = parser.parse_args(argv)
    rooms = chosen(given.only)
    defects = [defect for room in rooms.values() for defect in room]
    if given.list:
        for room, members in rooms.items():
            for defect in members:
                path = located(defect, ROOT).relative_to(ROOT)
                print(f"{room:12} {path}: {defect.says}")
        print(f"{len(defects)} defects")
        return 0
    noticed = print_table(rooms, long=given.long, jobs=given.jobs, trust=given.trust)
    print(f"{noticed} of {len(defects)} defects are noticed")
    return 0 if noticed == len(defects) else 1


if __name__ == "__main__":
    sys.exit(main())
