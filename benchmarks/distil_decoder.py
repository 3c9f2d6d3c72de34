"""Which loss distils a small decoder best, and what cached top-k logits cost.

    python benchmarks/distil_decoder.py

Trains the teacher of `examples/distil_decoder`, and then its students. One seed chooses
on the held-out part "tuning": first the learning rate of the cross-entropy alone, which
all methods then take, and at that rate each method's strength. Three other seeds have
the perplexities of the held-out part "test", of each method and of its targets that
hold the teacher's largest logits alone. What is finished is not run again. Prints
Markdown; differences are between runs of the same seed.
"""

import argparse
import contextlib
import json
import pathlib
import sys
from typing import Any

import jax
import numpy as np

ROOT = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from examples.distil_decoder import __main__ as example

RATES, STRENGTHS = (1e-3, 3e-3, 1e-2), (1.0, 3.0, 10.0, 30.0)
METHODS = "kd", "ikl", "gkl"
CACHED, TARGETS = ("kd",), ("top16", "rest16", "top64", "rest64")
TOP = 1, 4, 16, 64
TUNING_SEED, SEEDS = 3, (0, 1, 2)
TEACHER: dict[str, Any] = {}  # arguments other than the example's
STUDENT: dict[str, Any] = {}


def run(runs: pathlib.Path, command: str, **given: Any) -> dict[str, float]:
    """The perplexities, of an earlier run if there is one with these arguments."""
    given = example.DEFAULTS[command] | given
    name = ",".join(f"{name}={value}" for name, value in given.items())
    path = runs / f"{command if command == 'teacher' else name}.json"
    if path.exists():
        earlier, found = json.loads(path.read_text())
        if earlier != given:
            sys.exit(f"{runs} has a teacher of other arguments: {earlier}")
        return found
    flags = [f"--{name}={value}" for name, value in given.items()]
    with contextlib.redirect_stdout(sys.stderr):
        found = example.main([command, f"--runs={runs}", *flags])
    path.with_suffix(".part").write_text(json.dumps([given, found]))
    path.with_suffix(".part").rename(path)
    return found


def perplexity(part: str, **given: Any) -> float:
    runs = given.pop("runs")
    if given["loss"] == "ce":
        given |= {"strength": 0.0, "target": "none"}
    return run(runs, "student", **STUDENT, **given)[part]


def chosen(part: str, name: str, values: tuple[float, ...], **given: Any) -> float:
    """The value with the least perplexity, of which it prints a row."""
    given |= {"seed": TUNING_SEED}
    found = [perplexity(part, **given, **{name: value}) for value in values]
    tried = [f"{x:g}: {y:.2f}" for x, y in zip(values, found, strict=True)]
    print_row(given["loss"], name, ", ".join(tried))
    return values[int(np.argmin(found))]


def probability_of_top(runs: pathlib.Path) -> str:
    """The share of the teacher's probability that its k largest logits hold."""
    with np.load(runs / "teacher.npz") as stored:
        shares = np.exp(stored["values"]).mean((0, 1)).cumsum()
    found = [f"{shares[k - 1]:.1%} in the top {k}" for k in TOP if k <= len(shares)]
    return ", ".join(found)


def of_seeds(**given: Any) -> np.ndarray:
    return np.array([perplexity("test", **given, seed=seed) for seed in SEEDS])


def shown(values: np.ndarray, sign: str = "") -> str:
    return f"{values.mean():{sign}.2f} ± {values.std(ddof=1):.2f}"


def print_row(*cells: str, header: bool = False) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)
    if header:
        print("|---" * len(cells) + "|")


def print_settings(runs: pathlib.Path) -> dict[str, dict[str, Any]]:
    """Each method's arguments: one learning rate, and its own strength."""
    print_row("loss", "chosen", "perplexity of each value", header=True)
    rate = chosen("tuning", "learning_rate", RATES, runs=runs, loss="ce")
    common = {"runs": runs, "learning_rate": rate}
    settings = {"ce": {"loss": "ce"} | common}
    for loss in METHODS:
        given = {"loss": loss} | common
        strength = chosen("tuning", "strength", STRENGTHS, **given)
        settings[loss] = given | {"strength": strength}
    return settings


def print_methods(settings: dict[str, dict[str, Any]]) -> None:
    print()
    print_row("loss", "strength", "perplexity", "minus CE", "minus KD", header=True)
    found = {}
    for loss, given in settings.items():
        found[loss] = of_seeds(**given)
        differences = [
            "–" if other in (loss, None) else shown(found[loss] - found[other], "+")
            for other in ("ce", "kd" if "kd" in found else None)
        ]
        strength = f"{given['strength']:g}" if "strength" in given else "–"
        print_row(loss, strength, shown(found[loss]), *differences)


def print_targets(settings: dict[str, dict[str, Any]]) -> None:
    print()
    print_row("loss", "target", "perplexity", "minus the full teacher", header=True)
    for loss in CACHED:
        full = of_seeds(**settings[loss])
        print_row(loss, "full", shown(full), "–")
        for target in TARGETS:
            found = of_seeds(**settings[loss], target=target)
            print_row(loss, target, shown(found), shown(found - full, "+"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=pathlib.Path, default=ROOT / "runs" / "decoder")
    runs = parser.parse_args().runs
    # Runs that differ in the seed alone are compiled once.
    jax.config.update("jax_compilation_cache_dir", str(runs / "compiled"))
    teacher = run(runs, "teacher", **TEACHER)
    print(f"Teacher: {teacher['test']:.2f}; {probability_of_top(runs)}\n")
    settings = print_settings(runs)
    print_methods(settings)
    print_targets(settings)


if __name__ == "__main__":
    main()
