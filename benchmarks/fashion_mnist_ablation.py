"""What each part of IKL-AT is worth: a small WideResNet on Fashion-MNIST.

    python benchmarks/fashion_mnist_ablation.py --seeds 3

Six forms of configs/fashion_mnist_ablation.py with some seeds each: a run of
`python -m train`, then AutoAttack's `standard` on the first test images by
`python -m train.evaluate`. What is finished is not done again. Prints Markdown: natural
accuracy and that under PGD-20 on all test images, and AutoAttack's, as mean and
standard deviation over the seeds, with the differences from IKL of the same seeds.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from benchmarks.cells import ROOT, Cell, run_all

CONFIG = "configs/fashion_mnist_ablation.py"
FORMS = {
    "IKL": "ikl",
    "IKL, sample weights": "sample_ikl",
    "DKL, class weights": "class_wise_dkl",
    "DKL, sample weights": "dkl",
    "IKL, no ramp": "ikl,no_ramp",
    "IKL, no AWP": "ikl,no_awp",
}
COLUMNS = ("natural", "PGD-20", "AutoAttack")


def cells(seeds: int, size: str, overrides: list[str]) -> dict[tuple[str, int], Cell]:
    return {
        (form, seed): Cell(
            f"{argument}{size},seed{seed}",
            f"{CONFIG}:{argument}{size}",
            (f"--config.seed={seed}", *overrides),
        )
        for seed in range(seeds)
        for form, argument in FORMS.items()
    }


def judged(folder: pathlib.Path, num_examples: int) -> float:
    """AutoAttack's robust accuracy of a finished run, asked for once."""
    path = folder / "evaluation.json"
    if not path.exists():
        command = [
            sys.executable, "-m", "train.evaluate", f"--workdir={folder}",
            "--attack=autoattack", f"--num_examples={num_examples}", "--nopicture",
        ]  # fmt: skip
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (verdict,) = (
        verdict
        for name, verdict in json.loads(path.read_text()).items()
        if name.startswith("autoattack")
    )
    return next(iter(verdict["robust_accuracy"].values()))


def shown(values: np.ndarray, first: np.ndarray) -> str:
    """Mean and deviation, and the mean of the differences from the first row's."""
    told = f"{values.mean():.2f} ± {values.std(ddof=1):.2f}"
    if values is first:
        return told
    return f"{told} ({(values - first).mean():+.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--num_examples", type=int, default=500)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--runs", type=pathlib.Path, default=ROOT / "runs" / "ablation")
    parser.add_argument("--quick", action="store_true", help="little of everything")
    arguments, overrides = parser.parse_known_args()
    size = ",quick" if arguments.quick else ""
    runs = arguments.runs.resolve()
    table = cells(arguments.seeds, size, overrides)
    results = run_all([*table.values()], runs, arguments.jobs)
    print(f"| {' | '.join(['form', *COLUMNS])} |\n|{'---|' * (1 + len(COLUMNS))}")
    columns: dict[str, list[np.ndarray]] = {}
    for form in FORMS:
        names = [table[form, seed].name for seed in range(arguments.seeds)]
        rows = [
            (
                results[name]["natural_accuracy"],
                *results[name]["robust_accuracy"].values(),
                judged(runs / name, arguments.num_examples),
            )
            for name in names
        ]
        columns[form] = [100 * column for column in np.array(rows).T]
        first = columns[next(iter(FORMS))]
        told = [shown(*pair) for pair in zip(columns[form], first, strict=True)]
        print(f"| {form} | {' | '.join(told)} |")


if __name__ == "__main__":
    main()
