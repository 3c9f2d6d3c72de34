"""All that can be measured on one GPU within ten minutes.

    python benchmarks/accelerator.py --output=results --limit=570
    python benchmarks/accelerator.py --output=results --stages=d,f --limit=280
    python benchmarks/accelerator.py --output=results --rehearse

Six stages, each a process of its own with a time budget: a the card's limits, b losses,
c the training step, d AutoAttack, e the tests for a device, f a comparison of KL and
IKL. With every row, `accelerator.json` and `accelerator.md` in the output are written
again, so that a run which is cut off keeps what it has. A stage that fails or is over
its budget is recorded as such, and the next one runs. Goals are printed beside what was
measured; none is a test.

It runs from a checkout, without installation or a network. `--wheels=FOLDER`, which
`make wheels` fills, holds the packages that the machine lacks. `--rehearse` takes tiny
sizes on the CPU, and shows that nothing would fail. docs/performance.md says more.
"""

import argparse
import json
import os
import pathlib
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from benchmarks.stages import STAGES, Stage
from benchmarks.support import staged, wheels
from benchmarks.support.results_file import Results

LIMIT, REHEARSAL = 570.0, 2400.0  # seconds
LEAST = 5.0  # seconds without which a stage is not begun


def create_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    letters = ",".join(stage.letter for stage in STAGES)
    parser.add_argument(
        "--output", default="runs/accelerator", help="the folder of the results"
    )
    parser.add_argument(
        "--stages", default=letters, help=f"letters with commas between, of {letters}"
    )
    parser.add_argument(
        "--limit", type=float, help=f"seconds of all stages together; {LIMIT:g}"
    )
    parser.add_argument("--wheels", help="a folder of wheels for what is not installed")
    parser.add_argument("--data", default="", help="stage f: Fashion-MNIST's idx files")
    parser.add_argument("--cache", help="a folder that keeps compiled programs")
    parser.add_argument(
        "--rehearse", action="store_true", help="tiny sizes on the CPU, for a check"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    parser = create_parser()
    arguments = parser.parse_args(argv)
    letters = arguments.stages.split(",")
    chosen = [stage for stage in STAGES if stage.letter in letters]
    unknown = set(letters) - {stage.letter for stage in STAGES}
    if unknown:
        known = ", ".join(stage.letter for stage in STAGES)
        parser.error(f"--stages must be of {known}, got {arguments.stages!r}")
    limit = arguments.limit or (REHEARSAL if arguments.rehearse else LIMIT)
    if not 0 < limit < float("inf"):
        parser.error(f"--limit must be > 0 and finite, got {limit:g}")
    if arguments.data and not pathlib.Path(arguments.data).is_dir():
        parser.error(f"--data must be a folder, got {arguments.data!r}")
    end = time.monotonic() + limit
    with tempfile.TemporaryDirectory() as folder:
        try:
            environment = create_environment(arguments, pathlib.Path(folder))
        except (FileNotFoundError, RuntimeError) as error:
            print(error, file=sys.stderr)
            return 1
        results = Results(
            pathlib.Path(arguments.output).absolute(),
            started=time.strftime("%Y-%m-%d %H:%M:%S %Z"),
            command=shlex.join(["accelerator.py", *(argv or sys.argv[1:])]),
            rehearsal=arguments.rehearse, cache=arguments.cache, limit_s=limit,
        )  # fmt: skip
        with staged.Stop() as stop:
            run_all(chosen, arguments, end, environment, results, stop)
        if stop.asked:
            print(f"stopped; what was measured is in {results.page}", file=sys.stderr)
            return 130
    print(results.page.read_text())
    print(f"{results.json}\n{results.page}")
    statuses = [entry["status"] for entry in results.content["stages"].values()]
    return 1 if "failed" in statuses else 0


def run_all(
    chosen: Sequence[Stage],
    arguments: argparse.Namespace,
    end: float,
    environment: dict[str, str],
    results: Results,
    stop: staged.Stop,
) -> None:
    """Runs the stages one after the other, and saves after every row."""
    for number, stage in enumerate(chosen):
        left = end - time.monotonic()
        later = chosen[number + 1 :]
        if not arguments.rehearse and not arguments.data:
            later = [other for other in later if other.seconds is not None]
        seconds = budget(stage, later, left, arguments.rehearse)
        entry = results.begin(stage.letter, stage.title, seconds)
        if seconds < LEAST:
            entry["status"] = "not begun: no time was left"
            results.save()
            continue
        print(f"{stage.letter}. {stage.title}: {seconds:.0f} s", file=sys.stderr)
        run_stage(stage, seconds, arguments, environment, results, entry, stop)
        if stop.asked:
            return


def run_stage(
    stage: Stage,
    seconds: float,
    arguments: argparse.Namespace,
    environment: dict[str, str],
    results: Results,
    entry: dict[str, Any],
    stop: staged.Stop,
) -> None:
    folder = results.json.parent
    order = {
        "rehearse": arguments.rehearse, "seconds": seconds, "output": str(folder),
        "data": arguments.data and str(pathlib.Path(arguments.data).absolute()),
    }  # fmt: skip

    def receive(message: dict[str, Any]) -> None:
        if "note" in message:
            entry["notes"].append(message["note"])
        else:
            rows = entry["tables"].setdefault(message["table"], [])
            rows.append(message["cells"])
        results.save()

    results.save()
    ended = staged.run(
        staged.module("benchmarks.stages", stage.module, json.dumps(order)),
        seconds=seconds,
        log=folder / f"{stage.letter}_{stage.module}.log",
        environment=environment
        | {"XLA_PYTHON_CLIENT_MEM_FRACTION": f"{stage.memory:g}"},
        receive=receive,
        stop=stop,
    )
    entry |= {"status": ended.status, "seconds": ended.seconds, "error": ended.error}
    results.save()


def budget(
    stage: Stage, later: Sequence[Stage], left: float, rehearse: bool = False
) -> float:
    """The seconds of a stage, which leave the later ones theirs.

    If the budgets are more than what is left, all are cut by the same share. A stage
    without a budget of its own takes what the others leave. Where there is none, the
    budgets grow to fill what is left.
    """
    own = lambda stage: stage.rehearsal if rehearse else stage.seconds
    after = sum(own(other) or 0.0 for other in later)
    seconds, left = own(stage), max(left, 0.0)
    if seconds is None:
        return max(left - after, 0.0)
    share = left / (seconds + after)
    rest = any(own(other) is None for other in later)
    return seconds * (min(share, 1.0) if rest else share)


def create_environment(
    arguments: argparse.Namespace, folder: pathlib.Path
) -> dict[str, str]:
    """The environment of the stages; wheels are installed into the folder.

    Raises:
      FileNotFoundError, RuntimeError: the wheels are not there, or do not install.
    """
    paths = [str(staged.ROOT)]
    if arguments.wheels:
        lacking = wheels.missing(pathlib.Path(arguments.wheels))
        if lacking:
            wheels.install(lacking, folder)
        paths.append(str(folder))
    before = os.environ.get("PYTHONPATH")
    paths += [before] if before else []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    if arguments.rehearse:
        # Much is compiled and little computed.
        environment["JAX_PLATFORMS"] = "cpu"
        environment["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
    if arguments.cache:
        cache = str(pathlib.Path(arguments.cache).absolute())
        environment["JAX_COMPILATION_CACHE_DIR"] = cache
    return environment


if __name__ == "__main__":
    sys.exit(main())
