"""The evaluations of a sweep: flags of `python -m train.evaluate`, checked before."""

import pathlib
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from train.base.errors import UserError
from train.search.cells import evaluate_arguments
from train.search.children import environment

NO_RUN = "holds no run"  # what train.evaluate says of an empty folder, at last


def parse(text: str) -> tuple[str, ...]:
    """The flags of `--evaluate`.

    >>> parse("--attack=autoattack --num_examples=100")
    ('--attack=autoattack', '--num_examples=100')
    """
    try:
        arguments = tuple(shlex.split(text))
    except ValueError as error:
        raise UserError(f"--evaluate={text}: {error}") from error
    for argument in arguments:
        if argument.lstrip("-").partition("=")[0] == "workdir":
            raise UserError(
                f"--evaluate takes no --workdir, as each run has its own, got {text!r}"
            )
    if not arguments:
        raise UserError("--evaluate takes flags of train.evaluate, got none")
    return arguments


def check(evaluations: Sequence[Sequence[str]]) -> None:
    """Raises `UserError` for flags that `train.evaluate` refuses.

    It is asked itself, about an empty folder: that there is no run in it is the last
    thing that it complains about.
    """
    for arguments in dict.fromkeys(map(tuple, evaluations)):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [sys.executable, *evaluate_arguments(arguments, pathlib.Path(folder))],
                env=environment() | {"JAX_PLATFORMS": "cpu"}, capture_output=True,
                text=True, check=False,
            )  # fmt: skip
        if NO_RUN not in done.stderr:
            lines = done.stderr.strip().splitlines() or ["it has said nothing"]
            raise UserError(
                f"--evaluate={' '.join(arguments)}: {lines[-1].removeprefix('error: ')}"
            )
