"""Semi-supervised learning on Fashion-MNIST: tuned on held-out images, then compared.

    python benchmarks/fashion_mnist_ssl.py

First it tries four settings of every method with 250 labels, on the 5,000 held-out
images. Then it trains the best setting of each with 40, 250 and 1,000 labels and three
seeds, and evaluates it on the test images. A seed decides which images have labels,
too, and they are the same ones for all methods. `python -m train` once per cell; what
is finished is not run again. Prints Markdown, and draws what the second table says.
"""

import argparse
import os
import pathlib
import sys

import matplotlib.pyplot as plt
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from benchmarks.support.cells import ROOT, Cell, run_all

CONFIG = "configs/fashion_mnist_ssl.py"
Setting = dict[str, float]


def of_fixmatch(*strengths: float) -> list[Setting]:
    return [
        {"loss.strength": strength, "unlabelled.threshold": threshold}
        for strength in strengths
        for threshold in (0.8, 0.95)
    ]


def of_mean_teacher(*strengths: float) -> list[Setting]:
    return [{"loss.strength": strength} for strength in strengths]


# The options of each method, and its four settings.
METHODS = {
    "labels alone": (
        "supervised",
        [{"optimizer.learning_rate": rate} for rate in (0.01, 0.03, 0.1, 0.2)],
    ),
    "FixMatch, CE": ("fixmatch,ce", of_fixmatch(0.3, 1.0)),
    "FixMatch, KL": ("fixmatch,kl", of_fixmatch(0.3, 1.0)),
    "FixMatch, IKL": ("fixmatch,ikl", of_fixmatch(0.3, 1.0)),
    "Mean Teacher, MSE": ("mean_teacher,mse", of_mean_teacher(5.0, 15.0, 50.0, 150.0)),
    "Mean Teacher, KL": ("mean_teacher,kl", of_mean_teacher(0.1, 0.3, 1.0, 3.0)),
    "Mean Teacher, IKL": ("mean_teacher,ikl", of_mean_teacher(1.0, 3.0, 10.0, 30.0)),
}
LABELS, TUNED_WITH = (40, 250, 1000), 250
TUNING_SEED, SEEDS = 3, (0, 1, 2)


def setting_name(setting: Setting) -> str:
    return ",".join(
        f"{name.split('.')[-1]}={value:g}" for name, value in setting.items()
    )


def cell(method: str, setting: Setting, labels: int, seed: int, part: str) -> Cell:
    options, _ = METHODS[method]
    fields = {**setting, "seed": seed, "data.label_seed": seed}
    held_out = ",validation" if part == "tune" else ""
    return Cell(
        f"{options.replace(',', '_')},{setting_name(setting)},{labels},{part}{seed}",
        f"{CONFIG}:{options},labels={labels}{held_out}",
        tuple(f"--config.{name}={value}" for name, value in fields.items()),
    )


def tuned(runs: pathlib.Path, jobs: int) -> dict[str, Setting]:
    """Prints what every setting reaches on held-out images; each method's best one."""
    cells = {
        (method, setting_name(setting)): cell(
            method, setting, TUNED_WITH, TUNING_SEED, "tune"
        )
        for method, (_, settings) in METHODS.items()
        for setting in settings
    }
    results = run_all(list(cells.values()), runs, jobs)
    print("| method | setting | held-out accuracy |\n|---|---|---|")
    best = {}
    for method, (_, settings) in METHODS.items():
        scores = []
        for setting in settings:
            name = setting_name(setting)
            scores.append(results[cells[method, name].name]["natural_accuracy"])
            print(f"| {method} | {name} | {100 * scores[-1]:.2f} |")
        best[method] = settings[int(np.argmax(scores))]
    return best


def compared(
    best: dict[str, Setting], runs: pathlib.Path, jobs: int
) -> dict[tuple[str, int], list[float]]:
    """Prints test accuracy of each method's best setting; in percent, of each seed."""
    cells = {
        (method, labels, seed): cell(method, best[method], labels, seed, "test")
        for seed in SEEDS
        for labels in LABELS
        for method in METHODS
    }
    results = run_all(list(cells.values()), runs, jobs)
    accuracies = {
        (method, labels): [
            100 * results[cells[method, labels, seed].name]["natural_accuracy"]
            for seed in SEEDS
        ]
        for method in METHODS
        for labels in LABELS
    }
    header = ["method", "setting", *(f"{labels:,} labels" for labels in LABELS)]
    print(f"\n| {' | '.join(header)} |\n{'|---' * len(header)}|")
    for method in METHODS:
        of_labels = [accuracies[method, labels] for labels in LABELS]
        numbers = [f"{np.mean(a):.2f} ± {np.std(a, ddof=1):.2f}" for a in of_labels]
        print(f"| {method} | {setting_name(best[method])} | {' | '.join(numbers)} |")
    return accuracies


def drawn(
    accuracies: dict[tuple[str, int], list[float]], picture: pathlib.Path
) -> None:
    """What each method gains over the labels alone: each seed a point, and the mean."""
    alone, *methods = METHODS
    figure, panels = plt.subplots(
        1, len(LABELS), figsize=(9, 3), sharey=True, layout="constrained"
    )
    places = range(len(methods))
    for axes, labels in zip(panels, LABELS, strict=True):
        gains = np.array([accuracies[method, labels] for method in methods])
        gains -= accuracies[alone, labels]
        axes.axvline(0, color="gray", linewidth=1)
        axes.plot(gains, places, "o", color="tab:blue", alpha=0.5)
        axes.plot(gains.mean(axis=1), places, "|", color="black", markersize=14)
        axes.set_title(f"{labels:,} labels")
    panels[0].set_yticks(places, methods)
    panels[0].invert_yaxis()
    figure.supxlabel("points of test accuracy above the labels alone")
    figure.savefig(picture, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--runs", type=pathlib.Path, default=ROOT / "runs" / "fashion_ssl"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--picture", type=pathlib.Path)
    arguments = parser.parse_args()
    runs, jobs = arguments.runs.resolve(), arguments.jobs
    accuracies = compared(tuned(runs, jobs), runs, jobs)
    drawn(accuracies, arguments.picture or runs / "fashion_mnist_ssl.png")


if __name__ == "__main__":
    main()
