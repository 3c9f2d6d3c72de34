"""A plan for a topology, made by a process of its own.

TPU's compiler can end the process that calls it: with threads of small stacks, libtpu
0.0.42.1 overflows them on some programs for v6e. A process of its own turns that into
one sentence, and lets `--fit` go on with the next change. What the compiler prints
reaches the terminal when the process has ended, without the lines that only its authors
can use.
"""

import importlib.metadata
import os
import pathlib
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from typing import Any

import train
from train.base.config import Config
from train.base.errors import UserError
from train.planning import plan as here
from train.planning.plan import Plan, Target

CHECKOUT = pathlib.Path(train.__file__).parent.parent
# Which of its lines XLA prints: from warnings on (JAX's choice), or errors alone. Those
# about its own bookkeeping ("Invalid stack_frame_id") are warnings. It reads this when
# it is loaded, so a process cannot set it for itself.
LEVEL, WARNINGS, ERRORS = "TF_CPP_MIN_LOG_LEVEL", "1", "2"


def plan(config: Config, target: Target) -> Plan:
    """The plan of a config, by another process where the target is a topology.

    Args:
      config: of the run.
      target: what to plan for.

    Raises:
      UserError: as `train.planning.plan.plan`; or the compiler ended its process.
    """
    if target.topology is None:
        return here.plan(config, target)
    with tempfile.TemporaryFile() as said:
        process = _started(said)
        assert process.stdin is not None
        assert process.stdout is not None
        with process:
            # Its end is the other process's sign to end, so it stays open until then.
            process.stdin.write(pickle.dumps((config, target)))
            process.stdin.flush()
            answer = process.stdout.read()
            process.wait()
        said.seek(0)
        text = said.read().decode(errors="replace")
    if process.returncode:
        raise UserError(_crash(target.topology, process.returncode, text))
    sys.stderr.write(text)
    found = pickle.loads(answer)
    if isinstance(found, UserError):
        raise found
    return found


def _started(said: Any) -> "subprocess.Popen[bytes]":
    """The other process; it imports what this one would."""
    path = os.pathsep.join([str(CHECKOUT), *filter(None, sys.path)])
    level = os.environ.get(LEVEL, WARNINGS)
    changed = {"PYTHONPATH": path, LEVEL: ERRORS if level == WARNINGS else level}
    return subprocess.Popen(
        [sys.executable, "-m", "train.planning.apart"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said,
        env={**os.environ, **changed},
    )  # fmt: skip


def _crash(topology: str, code: int, text: str) -> str:
    """One sentence; what the process wrote is kept in a file that it names."""
    with tempfile.NamedTemporaryFile(
        "w", prefix="compiler_", suffix=".log", delete=False
    ) as file:
        file.write(text)
    how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
    return (
        f"TPU's compiler (libtpu {_version()}) ended {how} at this step for "
        f"{topology}, so there is no plan; what it wrote is in {file.name}"
    )


def _version() -> str:
    try:
        return importlib.metadata.version("libtpu")
    except importlib.metadata.PackageNotFoundError:
        return "of TPU_LIBRARY_PATH"


def _answer() -> None:
    """What the other process does: reads what is asked, and writes the plan."""
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else is printed is no answer
    config, target = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with_the_asker, daemon=True).start()
    here.require("cpu")
    try:
        found: Plan | UserError = here.plan(config, target)
    except UserError as error:
        found = error
    with answer:
        pickle.dump(found, answer)
    sys.stdout.flush()
    os._exit(0)  # libtpu may crash when it is unloaded


def _end_with_the_asker() -> None:
    sys.stdin.buffer.read()  # until the asker closes it, or is no more
    os._exit(1)


if __name__ == "__main__":
    _answer()
