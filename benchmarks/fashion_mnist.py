"""The four losses on Fashion-MNIST: tuning on held-out images, then frontiers on test.

    python benchmarks/fashion_mnist.py tune
    python benchmarks/fashion_mnist.py frontier

Both start `python -m train` once per cell of their table, skip what is finished, and
print Markdown; `frontier` also draws docs/fashion_mnist.png.
"""

import argparse
import os
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from benchmarks.support.cells import ROOT, Cell, run_all

CONFIG = "configs/fashion_mnist_at.py"
LOSSES = ("kl", "dkl", "ikl", "gkl")
STRENGTHS = {
    "kl": (1, 2, 3, 6, 12),
    "dkl": (1, 2, 3, 6, 12),
    "ikl": (0.5, 1, 2, 4, 8),
    "gkl": (0.5, 1, 2, 4, 8),
}
SEEDS = (0, 1, 2)
LEVELS = (83.5, 84.0, 84.5, 85.0, 85.5, 86.0)  # natural accuracies to compare at
MIDDLE = {"kl": 6, "dkl": 6, "ikl": 4, "gkl": 4}


# (loss, learning rate, warm-up, alpha, gamma): the learning rate without warm-up, then
# warm-up and alpha, then gamma; KL and DKL have no number of their own.
TRIED = [
    *((loss, rate, 0.0, 5.0, 0.5) for loss in LOSSES for rate in (0.05, 0.1, 0.2)),
    *(("ikl", 0.1, 0.0, alpha, 0.5) for alpha in (2.5, 10.0)),
    *(("gkl", 0.1, 0.0, 5.0, gamma) for gamma in (0.2, 0.8)),
    *((loss, 0.1, 0.1, 5.0, 0.5) for loss in ("kl", "dkl")),
    ("kl", 0.2, 0.1, 5.0, 0.5),
    *(("ikl", 0.1, 0.1, alpha, 0.5) for alpha in (0.5, 1.0, 2.5, 5.0)),
    *(("gkl", 0.1, 0.1, alpha, 0.8) for alpha in (1.0, 2.5, 5.0)),
    ("gkl", 0.1, 0.1, 1.0, 0.5),
]


def tuning_cells() -> list[Cell]:
    """Three epochs each, evaluated on 5,000 training images that are held out."""
    cells = []
    for loss, rate, warmup, alpha, gamma in TRIED:
        numbers = {
            "epochs": 3,
            "optimizer.learning_rate": rate,
            "optimizer.warmup": warmup,
        }
        own = {"ikl": {"alpha": alpha}, "gkl": {"alpha": alpha, "gamma": gamma}}
        numbers |= {f"loss.{name}": value for name, value in own.get(loss, {}).items()}
        setting = ",".join(f"{k.split('.')[-1]}={v}" for k, v in numbers.items())
        cells.append(
            Cell(
                f"tune_{loss},{setting}",
                f"{CONFIG}:loss={loss},strength={MIDDLE[loss]},validation",
                tuple(f"--config.{name}={value}" for name, value in numbers.items()),
            )
        )
    return cells


def frontier_cells() -> list[Cell]:
    return [
        Cell(
            f"{loss}_{strength}_seed{seed}",
            f"{CONFIG}:loss={loss},strength={strength}",
            (f"--config.seed={seed}",),
        )
        for seed in SEEDS
        for i in range(5)
        for loss, strength in ((loss, STRENGTHS[loss][i]) for loss in LOSSES)
    ]


def accuracies(result: dict) -> tuple[float, float]:
    """Natural and PGD-20 accuracy in percent."""
    return 100 * result["natural_accuracy"], 100 * result["robust_accuracy"]["pgd20"]


def print_tuning(results: dict[str, dict]) -> None:
    print("| run | natural | PGD-20 | sum |\n|---|---|---|---|")
    for name, result in results.items():
        natural, robust = accuracies(result)
        print(f"| {name} | {natural:.2f} | {robust:.2f} | {natural + robust:.2f} |")


def frontiers(results: dict[str, dict]) -> dict[str, np.ndarray]:
    """Loss to `[seed, strength, (natural, robust)]`."""
    return {
        loss: np.array(
            [
                [accuracies(results[f"{loss}_{s}_seed{seed}"]) for s in STRENGTHS[loss]]
                for seed in SEEDS
            ]
        )
        for loss in LOSSES
    }


def print_frontiers(points: dict[str, np.ndarray]) -> None:
    print("| loss | strength | natural | PGD-20 |\n|---|---|---|---|")
    for loss, values in points.items():
        mean, deviation = values.mean(0), values.std(0, ddof=1)
        for i, strength in enumerate(STRENGTHS[loss]):
            cells = (
                f"{m:.2f} ± {d:.2f}" for m, d in zip(mean[i], deviation[i], strict=True)
            )
            print(f"| {loss} | {strength} | {' | '.join(cells)} |")


def print_at_equal_natural(points: dict[str, np.ndarray]) -> None:
    """PGD-20 accuracy where a seed's frontier, by lines, has that natural accuracy."""
    print("| natural | " + " | ".join(points) + " |")
    print("|---|" + "---|" * len(points))
    for level in LEVELS:
        row = []
        for values in points.values():
            robust = np.array([_interpolate(level, curve) for curve in values])
            row.append(f"{robust.mean():.2f} ± {robust.std(ddof=1):.2f}")
        print(f"| {level:.1f} | {' | '.join(row)} |")


def _interpolate(natural: float, curve: np.ndarray) -> float:
    order = np.argsort(curve[:, 0])
    return float(np.interp(natural, curve[order, 0], curve[order, 1]))


def draw(points: dict[str, np.ndarray], path: pathlib.Path) -> None:
    figure, axis = plt.subplots(figsize=(6, 4.5))
    for i, (loss, values) in enumerate(points.items()):
        color = f"C{i}"
        natural, robust = values.mean(0).T
        axis.plot(natural, robust, "-o", color=color, label=loss.upper())
        axis.scatter(*values.reshape(-1, 2).T, s=10, color=color, alpha=0.5)
        for strength, x, y in zip(STRENGTHS[loss], natural, robust, strict=True):
            axis.annotate(f"{strength}", (x, y), fontsize=7, color=color)
    axis.set_xlabel("natural accuracy (%)")
    axis.set_ylabel("PGD-20 accuracy at epsilon 0.1 (%)")
    axis.grid(alpha=0.3)
    axis.set(xlim=(75, 88), ylim=(50, 76))  # runs that collapsed lie outside
    axis.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=["tune", "frontier"])
    parser.add_argument(
        "--workdir", type=pathlib.Path, default=ROOT / "runs" / "fashion"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    cells = tuning_cells() if arguments.stage == "tune" else frontier_cells()
    results = run_all(cells, arguments.workdir, arguments.jobs)
    if arguments.stage == "tune":
        print_tuning(results)
        return
    points = frontiers(results)
    print_frontiers(points)
    print()
    print_at_equal_natural(points)
    draw(points, ROOT / "docs" / "fashion_mnist.png")


if __name__ == "__main__":
    main()
