"""Runs a command: flags, then one call. A user's error is printed as a sentence."""

import pathlib
import sys
import traceback
from collections.abc import Callable, Sequence

from absl import flags

from train.base import terminal
from train.base.errors import UserError
from train.cli import parsers

USAGE = 2
FAILED = 1
REQUEUE = 75  # sysexits.h's "temporary failure": start the same command again
INTERRUPTED = 130


def run(
    argv: Sequence[str] | None,
    *,
    define: Callable[[flags.FlagValues, list[str]], None],
    call: Callable[[flags.FlagValues], None],
    required: Sequence[str] = (),
    positional: str | None = None,
) -> int:
    """Parses `argv`, then calls `call` with the flags; returns the exit code.

    It is 0 for success, 1 for a failure, 2 for a command line that cannot be used, 75
    after SIGTERM and 130 after an interrupt. Except for success, one sentence on stderr
    says why.

    Args:
      argv: the command line, the program's name first; None: that of this process.
      define: defines the flags.
      call: does the work.
      required: flags that must be given.
      positional: the flag, of several values, that takes the arguments without a flag.
    """
    # Grain reads absl's global flags; only our own are parsed.
    flags.FLAGS.mark_as_parsed()
    argv = list(sys.argv if argv is None else argv)
    values = flags.FlagValues()
    try:
        define(values, argv)
        parsers.replace(values)
        if {"-h", "--help"} & set(argv):
            print(f"usage: python -m {_module(argv)} --FLAG=VALUE ...")
            print(values.get_help())
            return 0
        _parse(values, argv, required, positional)
    except (flags.Error, LookupError, AttributeError, TypeError, ValueError) as error:
        return _complain(_innermost(error), USAGE)
    code = _call(call, values)
    if code in (FAILED, INTERRUPTED):
        from train.devices import processes

        processes.leave(code)
    return code


def _module(argv: Sequence[str]) -> str:
    """The module that the user named: `train`, or one in it."""
    name = pathlib.Path(argv[0]).stem
    return "train" if name in ("train", "__main__") else f"train.{name}"


def _call(call: Callable[[flags.FlagValues], None], values: flags.FlagValues) -> int:
    from train.devices import processes
    from train.devices.preemption import Preempted

    try:
        call(values)
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


def _parse(
    values: flags.FlagValues,
    argv: list[str],
    required: Sequence[str],
    positional: str | None,
) -> None:
    rest = values(argv)[1:]
    if positional:
        values[positional].value = [*(values[positional].value or []), *rest]
        if not values[positional].value:
            raise flags.Error(f"name one or more {positional}")
    elif rest:
        raise flags.Error(f"unexpected arguments: {' '.join(rest)}")
    for name in required:
        if values[name].value in (None, ""):
            raise flags.Error(f"--{name} is required")


def _innermost(error: object) -> object:
    """The message of an error; ml_collections wraps one error in another."""
    while isinstance(error, Exception) and error.args:
        error = error.args[0]
    return error


def _complain(error: object, code: int) -> int:
    print(f"error: {terminal.shown(' '.join(str(error).split()))}", file=sys.stderr)
    return code
