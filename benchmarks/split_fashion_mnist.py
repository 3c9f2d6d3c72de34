"""Continual learning on Fashion-MNIST: strengths tuned on held-out images, then test.

    python benchmarks/split_fashion_mnist.py no_memory
    python benchmarks/split_fashion_mnist.py memory

Without a memory, the cross-entropy is over the classes of the label's own task; with
20 images of each class, over all classes seen. Tries every strength of each loss on the
5,000 held-out images, by class-incremental average accuracy, then trains the best one
with three other seeds and evaluates it on the test images. Fine-tuning has no strength.
`python -m train` once per sequence of five tasks; what is finished is not run again,
and a sequence that was stopped goes on. Prints Markdown.
"""

import argparse
import os
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from benchmarks.support.cells import ROOT, Cell, run_all

CONFIG = "configs/split_fashion_mnist.py"
FINE_TUNING = "fine-tuning"
# Each method's options of the config.
METHODS = {
    FINE_TUNING: "fine_tuning", "LwF, KD": "lwf,kd", "LwF, IKL": "lwf,ikl",
    "LwF, GKL": "lwf,gkl",
}  # fmt: skip
SETTINGS = {"no_memory": "task", "memory": "memory=20"}
STRENGTHS = (0.5, 2.0, 8.0)
TUNING_SEED, SEEDS = 3, (0, 1, 2)
WAYS = {"class_incremental": "class-IL", "task_incremental": "task-IL"}
MEASURES = {"average_accuracy": "average", "forgetting": "forgetting"}


def cell(method: str, setting: str, strength: float, seed: int, part: str) -> Cell:
    options = [METHODS[method], SETTINGS[setting]]
    options += ["validation"] if part == "tune" else []
    fields: dict[str, float] = {"seed": seed}
    if method != FINE_TUNING:
        fields["loss.strength"] = strength
    plain = method.replace(" ", "_").replace(",", "")
    shown = f"strength={strength}," if method != FINE_TUNING else ""
    return Cell(
        f"{setting}_{plain},{shown}{part}{seed}",
        f"{CONFIG}:{','.join(options)}",
        tuple(f"--config.{name}={value}" for name, value in fields.items()),
    )


def tuned(
    methods: list[str], setting: str, runs: pathlib.Path, jobs: int
) -> dict[str, float]:
    """Prints what every strength reaches on held-out images; each method's best one."""
    cells = {
        (method, strength): cell(method, setting, strength, TUNING_SEED, "tune")
        for method in methods
        for strength in STRENGTHS
        if method != FINE_TUNING
    }
    results = run_all(list(cells.values()), runs, jobs)
    heads = [f"held-out {way} average" for way in WAYS.values()]
    print(
        f"| method | strength | {' | '.join(heads)} |\n|---|---|{'---|' * len(heads)}"
    )
    best = dict.fromkeys(methods, 0.0)
    for method in methods:
        scores = {}
        for strength in STRENGTHS if method != FINE_TUNING else ():
            found = results[cells[method, strength].name]["continual"]
            averages = [found[way]["average_accuracy"] for way in WAYS]
            scores[strength] = averages[0]
            numbers = " | ".join(f"{100 * each:.2f}" for each in averages)
            print(f"| {method} | {strength:g} | {numbers} |")
        if scores:
            best[method] = max(scores, key=lambda strength: scores[strength])
    return best


def compared(
    best: dict[str, float], setting: str, runs: pathlib.Path, jobs: int
) -> None:
    """Prints averages and forgetting on test images, over seeds."""
    cells = {
        (method, seed): cell(method, setting, best[method], seed, "test")
        for seed in SEEDS
        for method in best
    }
    results = run_all(list(cells.values()), runs, jobs)
    heads = [f"{way} {each}" for way in WAYS.values() for each in MEASURES.values()]
    print(f"\n| method | strength | {' | '.join(heads)} | seconds |")
    print(f"|---|---|{'---|' * len(heads)}---|")
    for method, strength in best.items():
        rows = [results[cells[method, seed].name] for seed in SEEDS]
        numbers = [
            [row["continual"][way][each] for row in rows]
            for way in WAYS
            for each in MEASURES
        ]
        shown = " | ".join(
            f"{100 * np.mean(column):.2f} ± {100 * np.std(column, ddof=1):.2f}"
            for column in numbers
        )
        seconds = f"{np.mean([row['seconds'] for row in rows]):.0f}"
        name = "–" if method == FINE_TUNING else f"{strength:g}"
        print(f"| {method} | {name} | {shown} | {seconds} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("setting", choices=SETTINGS)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=[*METHODS])
    parser.add_argument(
        "--runs", type=pathlib.Path, default=ROOT / "runs" / "split_fashion_mnist"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    runs, jobs = arguments.runs.resolve(), arguments.jobs
    setting = arguments.setting
    compared(tuned(arguments.methods, setting, runs, jobs), setting, runs, jobs)


if __name__ == "__main__":
    main()
