"""Runs a command: flags, then one call. A user's error is printed as a sentence."""

import dataclasses
import sys
import traceback
from collections.abc import Callable, Sequence

from absl import flags

from train.base import terminal
from train.base.errors import UserError
from train.cli import help_text, noise, parsers

USAGE = 2
FAILED = 1
REQUEUE = 75  # sysexits.h's "temporary failure": start the same command again
INTERRUPTED = 130
CLOSED = 141  # as of a program that SIGPIPE ends: nobody reads its output any more


@dataclasses.dataclass(frozen=True)
class _Command:
    """The arguments of `run`, which describes them."""

    define: Callable[[flags.FlagValues, list[str]], None]
    call: Callable[[flags.FlagValues], None]
    required: Sequence[str]
    positional: str | None
    examples: Sequence[str]
    kept: str


def run(
    argv: Sequence[str] | None,
    *,
    define: Callable[[flags.FlagValues, list[str]], None],
    call: Callable[[flags.FlagValues], None],
    required: Sequence[str] = (),
    positional: str | None = None,
    examples: Sequence[str] = (),
    kept: str = "nothing is kept",
) -> int:
    """Parses `argv`, then calls `call` with the flags; returns the exit code.

    It is 0 for success, 1 for a failure, 2 for a command line that cannot be used, 75
    after SIGTERM, 130 after an interrupt, and 141 if nobody reads the output any more.
    Except for success, one sentence on stderr says why.

    Args:
      argv: the command line, the program's name first; None: that of this process.
      define: defines the flags, given the command line.
      call: does the work. The docstring of its module is the text of `--help`.
      required: flags that must be given.
      positional: the flag, of several values, that takes the arguments without a flag.
      examples: command lines for `--help`, besides those in the docstring.
      kept: what an interrupt leaves and how to go on, as the end of a sentence.
    """
    if argv is None:
        noise.silence()
    command = _Command(define, call, required, positional, examples, kept)
    try:
        code = _run(command, list(sys.argv if argv is None else argv))
        sys.stdout.flush()
    except BrokenPipeError:
        noise.discard_output()
        code = CLOSED
    if code in (FAILED, INTERRUPTED):
        from train.devices import processes

        processes.leave(code)
    return code


def _run(command: _Command, argv: list[str]) -> int:
    # Grain reads absl's global flags; only our own are parsed.
    flags.FLAGS.mark_as_parsed()
    values = flags.FlagValues()
    try:
        command.define(values, argv)
        parsers.replace(values)
        if {"-h", "--help", "-help", "--helpfull", "--helpshort"} & set(argv):
            document = sys.modules[command.call.__module__].__doc__ or ""
            shown = help_text.of(
                values, argv, document, examples=command.examples,
                required=command.required, positional=command.positional,
            )  # fmt: skip
            print(shown)
            return 0
        _parse(command, values, argv)
    except parsers.ERRORS as error:
        return _complain(parsers.innermost(error), USAGE)
    return _call(command, values)


def _parse(command: _Command, values: flags.FlagValues, argv: list[str]) -> None:
    rest, positional = values(argv)[1:], command.positional
    if positional:
        values[positional].value = [*(values[positional].value or []), *rest]
        if not values[positional].value:
            raise flags.Error(f"name one or more {positional}")
    elif rest:
        raise flags.Error(f"unexpected arguments: {' '.join(rest)}")
    for name in command.required:
        if values[name].value in (None, ""):
            raise flags.Error(f"--{name} is required")


def _call(command: _Command, values: flags.FlagValues) -> int:
    from train.devices import processes
    from train.devices.preemption import CTRL_C, SIGTERM, Preempted

    try:
        command.call(values)
    except UserError as error:
        return _complain(error, FAILED)
    except BrokenPipeError:
        raise
    except OSError as error:  # a disk that is full or gone, a file that is not ours
        return _complain(error, FAILED)
    except Preempted as stop:
        code = {SIGTERM: REQUEUE, CTRL_C: INTERRUPTED}.get(stop.by, CLOSED)
        return _complain(f"stopped by {stop.by}; the same command goes on", code)
    except KeyboardInterrupt:
        return _complain(f"interrupted; {command.kept}", INTERRUPTED)
    except Exception as error:
        if _is_out_of_memory(error):
            return _complain(_out_of_memory(error), FAILED)
        if not processes.several():
            raise
        # Other errors arrive here too, so print the traceback.
        traceback.print_exc()
        return _complain(
            f"another process may be gone: {parsers.innermost(error)}", FAILED
        )
    return 0


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)[:200]


def _out_of_memory(error: Exception) -> str:
    first = (str(error).strip().splitlines() or ["no memory"])[0][:200]
    return (
        f"out of memory: {first}; a smaller batch_size or evaluation.batch_size, "
        "accumulate, model.remat and model.dtype=bfloat16 need less (docs/pods.md)"
    )


def _complain(error: object, code: int) -> int:
    print(f"error: {terminal.shown(' '.join(str(error).split()))}", file=sys.stderr)
    return code
