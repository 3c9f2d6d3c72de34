"""The command line: flags, then one call. A user's error is printed as a sentence."""

import pathlib
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags
from rich.console import Console

from train.base.errors import UserError

USAGE = 2
FAILED = 1
REQUEUE = 75  # sysexits.h's "temporary failure": start the same command again
INTERRUPTED = 130
PROCESS_FLAGS = ("distributed", "coordinator", "num_processes", "process_id")
PLAN_FLAGS = ("platform", "tflops", "memory")


def main(argv: Sequence[str] | None = None) -> int:
    """`python -m train`: trains a config in a workdir. Returns the exit code."""
    argv = list(sys.argv if argv is None else argv)
    values = flags.FlagValues()
    define_config(values, argv, None, "A file of configs/, with :OPTIONS after it.")
    flags.DEFINE_string(
        "workdir",
        None,
        "The run's folder. The same command again resumes the run.",
        flag_values=values,
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


class _ConfigParser(flags.ArgumentParser):
    """Loads a config file; whatever fails in it becomes one sentence.

    ml_collections, whose parser does the work, puts a traceback into the message of
    some errors, defers others until the config is used, and lets the rest through.
    """

    def __init__(self, parser: flags.ArgumentParser, overridden: list[str]) -> None:
        self._parser, self._overridden = parser, overridden

    def parse(self, argument: str) -> Any:
        try:
            config = self._parser.parse(argument)
            hasattr(config, "name")  # raises a deferred error now
            if config is None:
                raise ValueError("its get_config returns nothing")
        except Exception as error:
            problem = _describe(_original(error))
            raise flags.Error(f"cannot load --config={argument}: {problem}") from error
        for field in self._overridden:
            _check_field(config, field)
        return config

    def flag_type(self) -> str:
        return self._parser.flag_type()


def _check_field(config: Any, field: str) -> None:
    """Raises `flags.Error` unless the config has the dotted field."""
    section = config
    for name in field.split("."):
        if not isinstance(section, ConfigDict):
            raise flags.Error(f"the config has no field {field}")
        try:
            section = section[name]
        except KeyError as error:
            _, _, hint = str(error.args[0]).partition("Did you mean")
            hint = hint and f"; did you mean{hint}"
            raise flags.Error(f"the config has no field {field}{hint}") from error


def _original(error: BaseException) -> BaseException:
    """The error that the config file raised, which ml_collections wraps."""
    if isinstance(error, OSError):
        return error.__cause__ or error
    wrapped = isinstance(error, (TypeError, ValueError)) and error.__context__
    return wrapped or error


def _describe(error: BaseException) -> str:
    """What went wrong, and where, unless the config chose the words itself."""
    if isinstance(error, OSError):
        return str(error).split("]")[-1].strip()  # ml_collections lists its attempts
    if isinstance(error, (ValueError, SyntaxError)):
        return str(error)
    last = traceback.extract_tb(error.__traceback__)[-1]
    ours = "ml_collections" not in last.filename
    place = f" ({last.filename}, line {last.lineno})" if ours else ""
    return f"{type(error).__name__}: {error}{place}"


def define_config(
    values: flags.FlagValues, argv: Sequence[str], default: str | None, text: str
) -> None:
    """Defines `--config`, a file whose fields further flags override."""
    config_flags.DEFINE_config_file(
        "config", default, text, flag_values=values, sys_argv=list(argv)
    )
    flag = values["config"]
    overrides = (re.match(r"--?(?:no)?config\.([\w.]+)", each) for each in argv)
    flag.parser = _ConfigParser(flag.parser, [each[1] for each in overrides if each])


def _check_flags(values: flags.FlagValues) -> None:
    """Raises `UserError` for a flag that would have no effect."""
    others, what = (
        (PROCESS_FLAGS, "a run: --plan is for the devices of one process")
        if values.plan
        else (PLAN_FLAGS, "--plan")
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
        "coordinator", None, "HOST:PORT of process 0, where no cluster provides it.",
        flag_values=values,
    )  # fmt: skip
    for name, default, text in (
        ("num_processes", None, "Number of processes, with --coordinator."),
        ("process_id", None, "Number of this process, from 0, with --coordinator."),
        ("heartbeat_timeout", 100, "Seconds until a silent process counts as dead."),
        ("start_timeout", 300, "Seconds to wait for the other processes."),
    ):
        flags.DEFINE_integer(name, default, text, flag_values=values)


def _define_plan(values: flags.FlagValues) -> None:
    """Flags for what a run costs."""
    flags.DEFINE_bool(
        "plan", False, "Compile the step and print what the run costs; do not train.",
        flag_values=values,
    )  # fmt: skip
    flags.register_multi_flags_validator(
        ["plan", "workdir"],
        lambda given: given["plan"] or given["workdir"] is not None,
        "--workdir is required",
        flag_values=values,
    )
    flags.DEFINE_string(
        "platform", None, "Platform to compile the plan for: cpu, gpu or tpu. Default: "
        "the one that JAX uses here.", flag_values=values,
    )  # fmt: skip
    for name, text in (
        ("tflops", "For --plan: 10^12 operations a second of a device, sustained."),
        ("memory", "For --plan: GiB of a device. Default: what the device says."),
    ):
        flags.DEFINE_float(name, None, text, flag_values=values)


def run(
    values: flags.FlagValues,
    argv: Sequence[str] | None,
    *,
    required: Sequence[str],
    call: Callable[[], None],
) -> int:
    """Parses `argv` into `values`, then calls `call`; returns the exit code.

    It is 0 for success, 1 for a failure, 2 for a command line that cannot be used, 75
    after SIGTERM and 130 after an interrupt. Except for success, one sentence on stderr
    says why.
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
    code = _call(call)
    if code in (FAILED, INTERRUPTED):
        from train.devices import processes

        processes.leave(code)
    return code


def _module(argv: Sequence[str]) -> str:
    """The module that the user named: `train`, or one in it."""
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
        # Other errors arrive here too, so print the traceback.
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


def _innermost(error: object) -> object:
    """The message of an error; ml_collections wraps one error in another."""
    while isinstance(error, Exception) and error.args:
        error = error.args[0]
    return error


def _complain(error: object, code: int) -> int:
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    return code
