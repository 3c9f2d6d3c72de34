"""Becomes a command that runs on some cores and does not outlive who started it.

`python start.py CORES PARENT ARGUMENTS...` becomes `python ARGUMENTS...`. CORES are
numbers with commas between, or empty for all. When the process PARENT ends, however
that happens, the command gets SIGTERM (on Linux).
"""

import contextlib
import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # of Linux's prctl


def main(cores: str, parent: str, *arguments: str) -> None:
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != int(parent):  # it ended before the line above
            sys.exit(128 + signal.SIGTERM)
    os.execv(sys.executable, [sys.executable, *arguments])


if __name__ == "__main__":
    main(*sys.argv[1:])
