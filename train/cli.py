"""The command line: flags, then one call; errors of the user's in one sentence."""

import pathlib
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags
from ml_collections import config_flags
from rich.console import Console

from train.base.errors import UserError

USAGE = 2
FAILED = 1
REQUEUE = 75  # sysexits.h's "temporary failure": start the same command again
INTERRUPTED = 130
OF_PROCESSES = ("distributed", "coordinator", "num_processes", "process_id")
OF_A_PLAN = ("platform", "tflops", "memory")


def main(argv: Sequence[str] | None = None) -> int:
    """`python -m train`: trains a config in a workdir. Returns the exit code."""
    argv = list(sys.argv if argv is None else argv)
    values = flags.FlagValues()
    config_flags.DEFINE_config_file(
        "config", None, "A file of configs/, with :OPTIONS after it.",
        flag_values=values, sys_argv=argv,
    )  # fmt: skip
    flags.DEFINE_string(
        "workdir", None, "The run's folder; the same again resumes.", flag_values=values
    )

    _define_processes(values)
    _define_plan(values)

    def plan() -> None:
        from train.training import plan

        plan.main(
            values.config, platform=values.platform, tflops=values.tflops,
            memory=values.memory,
        )  # fmt: skip

    def train() -> None:
        from train.devices import processes  # JAX is not loaded for a mistyped flag
        from train.training import loop

        processes.start(
            distributed=values.distributed,
            coordinator=values.coordinator,
            num_processes=values.num_processes,
            process_id=values.process_id,
            heartbeat_timeout=values.heartbeat_timeout,
            start_timeout=values.start_timeout,
        )
        console = Console(quiet=not processes.is_main())
        loop.train(values.config, pathlib.Path(values.workdir), console)

    def call() -> None:
        _check_flags(values)
        (plan if values.plan else train)()

    return run(values, argv, required=("config",), call=call)


def _check_flags(values: flags.FlagValues) -> None:
    """Raises `UserError` for a flag that would do nothing."""
    others, what = (
        (OF_PROCESSES, "a run: --plan is for the devices of one process")
        if values.plan
        else (OF_A_PLAN, "--plan")
    )
    for name in others:
        if values[name].present:
            raise UserError(f"--{name} is for {what}")


def _define_processes(values: flags.FlagValues) -> None:
    """Flags for a run of several processes; see docs/pods.md."""
    flags.DEFINE_bool(
        "distributed", False, "Join the other processes of this TPU pod, SLURM or "
        "Kubernetes job.", flag_values=values,
    )  # fmt: skip
    flags.DEFINE_string(
        "coordinator", None, "HOST:PORT of process 0, where no cluster tells.",
        flag_values=values,
    )  # fmt: skip
    for name, default, text in (
        ("num_processes", None, "Of the run, with --coordinator."),
        ("process_id", None, "Of this process, from 0, with --coordinator."),
        ("heartbeat_timeout", 100, "Seconds until a silent process counts as dead."),
        ("start_timeout", 300, "Seconds to wait for the other processes."),
    ):
        flags.DEFINE_integer(name, default, text, flag_values=values)


def _define_plan(values: flags.FlagValues) -> None:
    """Flags for what a run costs."""
    flags.DEFINE_bool(
        "plan", False, "Compile and tell what the run costs, without running it.",
        flag_values=values,
    )  # fmt: skip
    flags.register_multi_flags_validator(
        ["plan", "workdir"],
        lambda given: given["plan"] or given["workdir"] is not None,
        "--workdir is required",
        flag_values=values,
    )
    flags.DEFINE_string(
        "platform", None, "Of a plan: cpu, gpu or tpu; default: JAX's.",
        flag_values=values,
    )  # fmt: skip
    for name, text in (
        ("tflops", "Of a plan: 10^12 operations a second, sustained, of a device."),
        ("memory", "Of a plan: GiB of a device; default: what it tells."),
    ):
        flags.DEFINE_float(name, None, text, flag_values=values)


def run(
    values: flags.FlagValues,
    argv: Sequence[str] | None,
    *,
    required: Sequence[str],
    call: Callable[[], None],
) -> int:
    """Parses `argv` into `values` and calls; returns the exit code.

    0 when done, 1 for what failed, 2 for a command line that cannot be used, 75 when
    told to stop by SIGTERM; all but the first with one sentence on stderr.
    """
    # Grain reads absl's global flags; only our own are parsed.
    flags.FLAGS.mark_as_parsed()
    argv = list(sys.argv if argv is None else argv)
    if {"-h", "--help"} & set(argv):
        print(f"usage: python -m {_module(argv)} --FLAG=VALUE ...\n{values.get_help()}")
        return 0
    try:
        _parse(values, argv, required)
    except (flags.Error, LookupError, AttributeError, TypeError, ValueError) as error:
        return _complain(_innermost(error), USAGE)
    except OSError as error:  # of ml_collections, which lists what it tried
        return _complain(f"cannot load the config: {str(error).split(']')[-1]}", USAGE)
    code = _call(call)
    if code in (FAILED, INTERRUPTED):
        from train.devices import processes

        processes.leave(code)
    return code


def _module(argv: Sequence[str]) -> str:
    """How the command was named."""
    name = pathlib.Path(argv[0]).stem
    return "train" if name in ("train", "__main__") else f"train.{name}"


def _call(call: Callable[[], None]) -> int:
    from train.devices import processes
    from train.devices.preemption import Preempted

    try:
        call()
    except UserError as error:
        return _complain(error, FAILED)
    except OSError as error:  # a disk that is full or gone, a file that is not ours
        return _complain(error, FAILED)
    except Preempted:
        return _complain("stopped by SIGTERM; the same command goes on", REQUEUE)
    except KeyboardInterrupt:
        return _complain("interrupted", INTERRUPTED)
    except Exception as error:
        if not processes.several():
            raise
        # Not only a process that is gone ends here, so nothing is left out.
        traceback.print_exc()
        return _complain(f"another process may be gone: {_innermost(error)}", FAILED)
    return 0


def _parse(values: flags.FlagValues, argv: list[str], required: Sequence[str]) -> None:
    rest = values(argv)[1:]
    if rest:
        raise flags.Error(f"unexpected arguments: {' '.join(rest)}")
    for name in required:
        if values[name].value is None:
            raise flags.Error(f"--{name} is required")
    if "config" in required:
        config: Any = values["config"].value
        _ = config.name  # raises now if the file could not be loaded


def _innermost(error: object) -> object:
    """What an error says; ml_collections wraps one error in another."""
    while isinstance(error, Exception) and error.args:
        error = error.args[0]
    return error


def _complain(error: object, code: int) -> int:
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    return code
