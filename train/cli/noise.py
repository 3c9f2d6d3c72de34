"""Keeps what libraries print about failures away from the user's one sentence.

Orbax, tensorstore and asyncio log an error of a thread with its traceback, at times
when the garbage collector finds it. The main thread is told of the same error, and says
it once.
"""

import contextlib
import io
import logging
import os
import sys
import threading
from types import TracebackType


def silence() -> None:
    """For the rest of the process, reports errors of the main thread alone."""
    for name in ("absl", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    threading.excepthook = lambda _: None
    sys.unraisablehook = lambda _: None
    sys.excepthook = _of_the_main_thread


def _of_the_main_thread(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if threading.current_thread() is threading.main_thread():
        sys.__excepthook__(kind, error, trace)


def discard_output() -> None:
    """Lets further output go nowhere, once nobody reads it."""
    with contextlib.suppress(OSError, ValueError, io.UnsupportedOperation):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
