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
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence

ROOT = pathlib.Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from tests.defects import ROOMS
from tests.defects.defect import Defect

QUICK, LONG = "not long and not slow", "long and not slow"
TIMEOUT = 900  # seconds; tests that do not end have noticed something
LEFT_OUT = (".git", ".venv", ".cache", ".*_cache", "__pycache__", "runs", "site")
NOBODY = "NOBODY"


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
    # Two versions of a module of one size and one second would share a compiled file.
    variables = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "300"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-m", markers, *tests]
    try:
        done = subprocess.run(
            command, cwd=root, env=variables, capture_output=True, text=True,
            timeout=TIMEOUT, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Noticed(f"tests that did not end in {TIMEOUT} s", TIMEOUT)
    seconds = time.monotonic() - start
    failures = re.findall(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.M)
    if failures:
        return Noticed(failures[0], seconds)
    # 5: no test has these markers.
    if done.returncode not in (0, 5):
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return Noticed(NOBODY, seconds)


def notice(defect: Defect, root: pathlib.Path, *, long: bool) -> Noticed:
    """Which test of the defect's notices it."""
    seconds = 0.0
    with planted(defect, root):
        for markers in (QUICK, LONG) if long else (QUICK,):
            noticed = run_tests(root, defect.tests, markers)
            seconds += noticed.seconds
            if noticed.by != NOBODY:
                break
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


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table; the exit code is 1 if a defect is noticed by nobody."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--only", help="a room, or a part of a path or description")
    parser.add_argument("--list", action="store_true", help="run no test")
    parser.add_argument("--long", action="store_true", help="run long tests as well")
    parser.add_argument(
        "--trust", action="store_true", help="do not test the copy without a defect"
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
    failed = 0
    with tempfile.TemporaryDirectory(prefix="planted") as folder:
        root = pathlib.Path(folder) / "copy"
        shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(*LEFT_OUT))
        if not given.trust:
            check_untouched(root, defects, given.long)
        for room, members in rooms.items():
            for defect in members:
                try:
                    noticed = notice(defect, root, long=given.long)
                except CannotPlant as error:
                    noticed = Noticed(f"CANNOT BE PLANTED: {error}", 0.0)
                    failed += 1
                failed += noticed.by == NOBODY
                print(
                    f"| {room} | {defect.says} | {noticed.by} | {noticed.seconds:.0f} s |",
                    flush=True,
                )
    print(f"{len(defects) - failed} of {len(defects)} defects are noticed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
