"""Runs pytest in forks of a process that has imported JAX, which saves half of the time.

The process is `multiprocessing`'s fork server: it imports, and never computes, so that
its forks are safe. A fork imports the code of the folder that it tests, nothing of ours.
"""

import multiprocessing
import os
import pathlib
import sys
from collections.abc import Sequence

OURS = ("tests", "ikl_jax", "train", "configs", "benchmarks", "examples")
PRELOADED = [
    "tests.conftest",  # first: it sets what JAX reads when it is imported
    "jax.experimental.multihost_utils",
    "flax.linen",
    "optax",
    "orbax.checkpoint",
    "grain",
    "chex",
    "ml_collections",
    "matplotlib.figure",
    "tensorboardX",
    "PIL.Image",
    "_pytest.doctest",
]
TIMED_OUT = 124


def _test(root: str, arguments: Sequence[str], output: str) -> None:
    """Runs pytest in `root`, as a process that was started there would."""
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    for name in [name for name in sys.modules if name.split(".")[0] in OURS]:
        del sys.modules[name]
    os.chdir(root)
    sys.path[:] = [root, *(path for path in sys.path if not _holds_ours(path))]
    # Two versions of a module of one size and one second would share a compiled file.
    sys.dont_write_bytecode = True
    os.environ |= {"PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "300"}
    import pytest

    code = pytest.main(["-p", "no:cacheprovider", *arguments])
    sys.stdout.flush()
    os._exit(int(code))  # without waiting for threads that the tests have left


def _holds_ours(path: str) -> bool:
    return (pathlib.Path(path) / "ikl_jax").is_dir()


def run_pytest(
    root: pathlib.Path, arguments: Sequence[str], timeout: float
) -> tuple[int, str]:
    """Runs pytest in the folder `root`.

    Returns:
      pytest's exit code, `TIMED_OUT` after that many seconds, and what it printed.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    output = root / "pytest.log"
    process = context.Process(target=_test, args=(str(root), arguments, str(output)))
    process.start()
    process.join(timeout)
    if process.exitcode is None:
        process.kill()
        process.join()
        return TIMED_OUT, output.read_text()
    return process.exitcode, output.read_text() if output.exists() else ""
