"""Distillation losses on Fashion-MNIST: tuned on held-out images, compared on test.

    python benchmarks/fashion_mnist_distill.py whole
    python benchmarks/fashion_mnist_distill.py long_tail

Each trains one teacher, then tries six settings of every method (three learning rates
by two strengths) on the 5,000 held-out images, then trains each method's best setting
with three other seeds and evaluates it on the test images. `python -m train` once per
cell; what is finished is not run again. Prints Markdown.
"""

import argparse
import os
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from benchmarks.support.cells import ROOT, Cell, run_all

CONFIG = "configs/fashion_mnist_distill.py"
DATA = {"whole": "", "long_tail": "long_tail,"}
RATES = (0.02, 0.05, 0.1)
# Each method's options of the config, and the field that is its strength.
METHODS = {
    "cross-entropy alone": ("alone", {"loss.label_smoothing": (0.0, 0.1)}),
    "KD": ("loss=kd", {"loss.strength,loss.cross_entropy": ((0.5, 0.5), (0.9, 0.1))}),
    "DKD": ("loss=dkd", {"loss.beta": (1.0, 4.0)}),
    "IKL, sample": ("loss=ikl,sample", {"loss.alpha": (0.3, 1.0)}),
    "IKL, class": ("loss=ikl", {"loss.alpha": (0.3, 1.0)}),
    "GKL, class": ("loss=gkl", {"loss.alpha": (0.3, 1.0)}),
}
TUNING_SEED, SEEDS = 3, (0, 1, 2)
GROUPS = ("many", "medium", "few")


def settings(strengths: dict[str, tuple]) -> list[dict[str, float]]:
    """A method's six settings, as values of fields."""
    ((names, values),) = strengths.items()
    fields = names.split(",")
    return [
        {
            "optimizer.learning_rate": rate,
            **dict(zip(fields, np.ravel(value).tolist(), strict=True)),
        }
        for rate in RATES
        for value in values
    ]


def setting_name(setting: dict[str, float]) -> str:
    return ",".join(f"{name.split('.')[-1]}={value}" for name, value in setting.items())


def cell(
    data: str,
    method: str,
    setting: dict[str, float],
    seed: int,
    part: str,
    runs: pathlib.Path,
) -> Cell:
    options, _ = METHODS[method]
    fields: dict[str, object] = {**setting, "seed": seed}
    if method != "cross-entropy alone":
        fields["teacher.path"] = runs / f"{data}_teacher"
        fields["teacher.cache"] = runs / f"{data}_teacher_logits"
    plain = method.replace(" ", "_").replace(",", "")
    return Cell(
        f"{data}_{plain},{setting_name(setting)},{part}{seed}",
        f"{CONFIG}:{DATA[data]}{options}" + (",validation" if part == "tune" else ""),
        tuple(f"--config.{name}={value}" for name, value in fields.items()),
    )


def teacher_cell(data: str) -> Cell:
    return Cell(f"{data}_teacher", f"{CONFIG}:{DATA[data]}teacher")


def tuned(data: str, runs: pathlib.Path, jobs: int) -> dict[str, dict[str, float]]:
    """Prints what every setting reaches on held-out images; each method's best one."""
    cells = {
        (method, setting_name(setting)): cell(
            data, method, setting, TUNING_SEED, "tune", runs
        )
        for method, (_, strengths) in METHODS.items()
        for setting in settings(strengths)
    }
    results = run_all(list(cells.values()), runs, jobs)
    print("| method | setting | held-out accuracy |\n|---|---|---|")
    best = {}
    for method, (_, strengths) in METHODS.items():
        scores = []
        for setting in settings(strengths):
            result = results[cells[method, setting_name(setting)].name]
            scores.append(result["natural_accuracy"])
            print(f"| {method} | {setting_name(setting)} | {100 * scores[-1]:.2f} |")
        best[method] = settings(strengths)[int(np.argmax(scores))]
    return best


def compared(
    data: str, best: dict[str, dict[str, float]], runs: pathlib.Path, jobs: int
) -> None:
    """Prints test accuracy of each method's best setting, over seeds."""
    cells = {
        (method, seed): cell(data, method, best[method], seed, "test", runs)
        for seed in SEEDS
        for method in METHODS
    }
    results = run_all(list(cells.values()), runs, jobs)
    (teacher,) = run_all([teacher_cell(data)], runs, 1).values()
    groups = [g for g in GROUPS if g in teacher.get("accuracy_by_shots", {})]
    header = ["method", "setting", "test accuracy", *groups]
    print(f"\n| {' | '.join(header)} |\n{'|---' * len(header)}|")
    print(f"| teacher | – | {' | '.join(_accuracies([teacher], groups))} |")
    for method in METHODS:
        rows = [results[cells[method, seed].name] for seed in SEEDS]
        numbers = " | ".join(_accuracies(rows, groups))
        print(f"| {method} | {setting_name(best[method])} | {numbers} |")


def _accuracies(results: list[dict], groups: list[str]) -> list[str]:
    """In percent, with the deviation over the results: of all, and of each group."""
    columns = [[result["natural_accuracy"] for result in results]]
    columns += [[result["accuracy_by_shots"][g] for result in results] for g in groups]
    return [
        f"{100 * np.mean(column):.2f}"
        + (f" ± {100 * np.std(column, ddof=1):.2f}" if len(column) > 1 else "")
        for column in columns
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", choices=list(DATA))
    parser.add_argument(
        "--runs", type=pathlib.Path, default=ROOT / "runs" / "fashion_distill"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    data, runs, jobs = arguments.data, arguments.runs.resolve(), arguments.jobs
    run_all([teacher_cell(data)], runs, 1)
    first = cell(data, "KD", settings(METHODS["KD"][1])[0], TUNING_SEED, "tune", runs)
    run_all([first], runs, 1)  # which computes the teacher's logits
    compared(data, tuned(data, runs, jobs), runs, jobs)


if __name__ == "__main__":
    main()
