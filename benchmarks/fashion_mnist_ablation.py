"""What each part of IKL-AT is worth: a small WideResNet on Fashion-MNIST.

    python benchmarks/fashion_mnist_ablation.py --seeds 3

The forms of configs/fashion_mnist_ablation.py with some seeds each: a run of
`python -m train`, then PGD-20 and AutoAttack's `standard` on the first test images by
`python -m train.evaluate`. What is finished is not done again. Prints Markdown: natural
accuracy on all test images, and that under each attack, as mean and standard deviation
over the seeds, with the differences from IKL of the same seeds.
"""

import argparse
import os
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from benchmarks.support.cells import ROOT, Cell, run_all

CONFIG = "configs/fashion_mnist_ablation.py"
FORMS = {
    "IKL": "ikl",
    "IKL, sample weights": "sample_ikl",
    "DKL, class weights": "class_wise_dkl",
    "DKL, sample weights": "dkl",
    "IKL, no ramp": "ikl,no_ramp",
    "IKL, no AWP": "ikl,no_awp",
    "IKL, alpha 4": "ikl,alpha4",
    "IKL, sample weights, alpha 4": "sample_ikl,alpha4",
    "DKL, class weights, alpha 4": "class_wise_dkl,alpha4",
    "DKL, sample weights, alpha 4 (4 KL)": "dkl,alpha4",
}
COLUMNS = ("natural", "PGD-20", "AutoAttack")


def cells(
    arguments: argparse.Namespace, overrides: list[str]
) -> dict[tuple[str, int], Cell]:
    """Seed by seed, so that what is finished of a long table can be compared."""
    size = ",quick" if arguments.quick else ""
    evaluations = (
        ("--restarts=1", f"--num_examples={arguments.pgd_examples}"),
        ("--attack=autoattack", f"--num_examples={arguments.num_examples}",
         "--nopicture"),
    )  # fmt: skip
    return {
        (form, seed): Cell(
            f"{argument}{size},seed{seed}",
            f"{CONFIG}:{argument}{size}",
            (f"--config.seed={seed}", *overrides),
            evaluations,
        )
        for seed in range(arguments.seeds)
        for form, argument in FORMS.items()
    }


def accuracies(result: dict) -> list[float]:
    """Natural and robust ones of a run, in percent, in the order of `COLUMNS`."""
    robust = (
        accuracy
        for evaluation in result["evaluations"]
        for accuracy in evaluation["robust_accuracy"].values()
    )
    return [100 * accuracy for accuracy in (result["natural_accuracy"], *robust)]


def summary(values: np.ndarray, differences: np.ndarray | None) -> str:
    """Mean and deviation of the values; in brackets those of their differences."""
    text = f"{values.mean():.2f} ± {values.std(ddof=1):.2f}"
    if differences is None:
        return text
    return f"{text} ({differences.mean():+.2f} ± {differences.std(ddof=1):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--pgd_examples", type=int, default=1000)
    parser.add_argument("--num_examples", type=int, default=100, help="AutoAttack's")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--runs", type=pathlib.Path, default=ROOT / "runs" / "ablation")
    parser.add_argument("--quick", action="store_true", help="little of everything")
    arguments, overrides = parser.parse_known_args()
    table = cells(arguments, overrides)
    results = run_all([*table.values()], arguments.runs.resolve(), arguments.jobs)
    columns = {
        form: np.array([accuracies(results[table[form, seed].name])
                        for seed in range(arguments.seeds)]).T
        for form in FORMS
    }  # fmt: skip
    print(f"| {' | '.join(['form', *COLUMNS])} |\n|{'---|' * (1 + len(COLUMNS))}")
    ikl = columns["IKL"]
    for form, values in columns.items():
        differences = values - ikl if form != "IKL" else [None] * len(values)
        entries = [summary(*pair) for pair in zip(values, differences, strict=True)]
        print(f"| {form} | {' | '.join(entries)} |")


if __name__ == "__main__":
    main()
