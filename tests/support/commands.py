"""The real command line, started as a user starts it."""

import json
import os
import socket
import subprocess
import sys

from tests.conftest import CACHE, ROOT, xla_flags

DIGITS = "configs/digits_ikl_at.py"
QUICK = f"{DIGITS}:quick"


def command(*arguments, module="train"):
    return [sys.executable, "-m", module, *arguments]


def environment(devices=1, *, optimised=True):
    cache = {
        "JAX_COMPILATION_CACHE_DIR": str(CACHE / "commands"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.2",
    }
    # Most runs compute more than they compile; one of two steps does not.
    flags = {
        "XLA_FLAGS": xla_flags(devices),
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "0" if optimised else "1",
    }
    return os.environ | cache | flags | {"COLUMNS": "200"}


def run(*arguments, module="train", devices=1, optimised=True):
    return subprocess.run(
        command(*arguments, module=module), cwd=ROOT,
        env=environment(devices, optimised=optimised),
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def train(workdir, *overrides, config=QUICK, devices=1, optimised=True):
    done = run(
        f"--config={config}", f"--workdir={workdir}", *overrides, devices=devices,
        optimised=optimised,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done


def result_of(workdir):
    return json.loads((workdir / "result.json").read_text())


def metrics_of(workdir):
    """The lines of metrics.jsonl, without the times."""
    text = (workdir / "metrics.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


def together(workdir, *overrides, each=((), ())):
    """Two processes of four devices each; what they return and print to stderr."""
    return outcome(started(workdir, *overrides, each=each), timeout=200)


def started(workdir, *overrides, each=((), ()), variables=({}, {})):
    given = (f"--config={QUICK}", f"--workdir={workdir}", *overrides)
    return started_together("train", *given, each=each, variables=variables)


def started_together(module, *arguments, each=((), ()), variables=({}, {})):
    """Two processes of four devices each that run one command together."""
    port = free_port()
    return [
        subprocess.Popen(
            command(
                f"--coordinator=127.0.0.1:{port}", "--num_processes=2",
                f"--process_id={index}", "--heartbeat_timeout=30",
                *arguments, *each[index], module=module,
            ),
            cwd=ROOT,
            env=environment(devices=4) | {"PYTHONWARNINGS": "default"} | variables[index],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        for index in range(2)
    ]  # fmt: skip


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def outcome(processes, *, timeout):
    """Their exit codes and what they printed to stderr; none is left running."""
    try:
        errors = [process.communicate(timeout=timeout)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [process.returncode for process in processes], errors
