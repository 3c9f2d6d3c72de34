"""Stage e: the tests with the marker `accelerator`, each as it ends.

They are `tests/accelerator/`; `pytest -m accelerator` runs them by hand.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.stages.report import Order, Report
from benchmarks.support.cells import ROOT

# As `pytest -v` prints a test that ended, and a failure's reason at the end.
ENDED = re.compile(r"^tests/\S*?(\w+)\.py::(.+) (PASSED|FAILED|ERROR|SKIPPED)\b")
REASON = re.compile(r"^(?:FAILED|ERROR) \S*?(\w+)\.py::(\S+) - (.*)")


def run(order: Order, report: Report) -> None:
    del order  # the tests are small
    failed = 0
    for line in output():
        print(line, flush=True)  # kept in the log of the stage
        if ended := ENDED.match(line):
            file, test, outcome = ended.groups()
            failed += outcome in ("FAILED", "ERROR")
            report.row("tests", file=file, test=test, outcome=outcome.lower())
        if reason := REASON.match(line):
            file, test, text = reason.groups()
            report.row("failures", file=file, test=test, reason=text)
    if failed:
        report.note(f"{failed} tests failed; the stage's log says more")


def output() -> Iterator[str]:
    """The lines of pytest.

    Raises:
      RuntimeError: it ran no tests, or could not.
    """
    # On a device programs are optimised, and the platform is the device's. Warnings of
    # its plugins are not errors.
    command = [
        sys.executable, "-m", "pytest", "-v", "-m", "accelerator", "-W", "default",
        "-p", "no:cacheprovider", "--tb=short", "--color=no", "tests/accelerator",
    ]  # fmt: skip
    environment = {"XLA_FLAGS": "", "JAX_DISABLE_MOST_OPTIMIZATIONS": "0"} | os.environ
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment | {"COLUMNS": "300"}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    last = ""
    for line in process.stdout:
        last = line.strip() or last
        yield line.rstrip()
    if process.wait() not in (0, 1):  # 1: tests failed, which their rows say
        raise RuntimeError(f"pytest ended with {process.returncode}: {last}")
