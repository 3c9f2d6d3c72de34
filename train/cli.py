"""The command line: flags, then one call; errors of the user's in one sentence."""

import pathlib
import sys
from collections.abc import Callable, Sequence

from absl import flags
from ml_collections import config_flags
from rich.console import Console

from train.errors import UserError

USAGE = 2
FAILED = 1


def main(argv: Sequence[str] | None = None) -> int:
    """`python -m train`: trains a config in a workdir. Returns the exit code."""
    values = flags.FlagValues()
    config_flags.DEFINE_config_file(
        "config", None, "A file of configs/, with :OPTIONS after it.", flag_values=values
    )
    flags.DEFINE_string(
        "workdir", None, "The run's folder; the same again resumes.", flag_values=values
    )

    def train() -> None:
        from train import loop  # JAX is not loaded for a mistyped flag

        loop.train(values.config, pathlib.Path(values.workdir), Console())

    return run(values, argv, required=("config", "workdir"), call=train)


def run(
    values: flags.FlagValues,
    argv: Sequence[str] | None,
    *,
    required: Sequence[str],
    call: Callable[[], None],
) -> int:
    """Parses `argv` into `values` and calls; returns the exit code.

    0 when done, 1 for what failed, 2 for a command line that cannot be used, both
    with one sentence on stderr.
    """
    # Grain reads absl's global flags, which only our own would otherwise be parsed.
    flags.FLAGS.mark_as_parsed()
    argv = list(sys.argv if argv is None else argv)
    try:
        rest = values(argv)
        if rest[1:]:
            raise flags.Error(f"unexpected arguments: {' '.join(rest[1:])}")
        for name in required:
            if values[name].value is None:
                raise flags.Error(f"--{name} is required")
    except (flags.Error, AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        return _complain(error, USAGE)
    try:
        call()
    except UserError as error:
        return _complain(error, FAILED)
    except KeyboardInterrupt:
        return _complain("interrupted; the same command resumes", 130)
    return 0


def _complain(error: object, code: int) -> int:
    message = " ".join(str(error).replace("'\"", '"').split())
    print(f"error: {message}", file=sys.stderr)
    return code
