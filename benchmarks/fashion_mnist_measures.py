"""Measures of KL and IKL on Fashion-MNIST: a table over three seeds, and a picture.

    python benchmarks/fashion_mnist_measures.py

Trains KL at strength 6 and IKL at strength 4 (`configs/fashion_mnist_at.py`) with three
seeds each, and measures every run by `python -m train.evaluate --measure`. What is
finished is not made again; runs of `benchmarks/fashion_mnist.py frontier` are the same.
Prints Markdown, and draws docs/fashion_mnist_margins.png.
"""

import argparse
import pathlib
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from benchmarks.support.cells import ROOT, Cell, run_all
from train import margins
from train.reports import differences

CONFIG = "configs/fashion_mnist_at.py"
STRENGTHS = {"kl": 6, "ikl": 4}  # those of about the same natural accuracy
SEEDS = (0, 1, 2)
EVALUATIONS = (
    ("--measure=margins,features", "--num_examples=2000", "--distances=100",
     "--map_examples=500"),
    ("--measure=calibration",),
    ("--measure=ood", "--ood=digits"),
    ("--measure=ood", "--ood=noise"),
    ("--measure=corruptions", "--num_examples=2000", "--severities=1,3,5"),
)  # fmt: skip


class Number(NamedTuple):
    """A number of a record.

    Attributes:
      says: what it is, for the table.
      measure: the measure of the record; "": the result of the run.
      path: of names within what the measure found, with dots between.
      scale: it is multiplied by this: 100 makes a share a percentage.
      where: fields that the record has.
    """

    says: str
    measure: str
    path: str
    scale: float = 1.0
    where: Mapping[str, str] = {}


DIGITS, NOISE = {"ood": "digits"}, {"ood": "noise"}
NUMBERS = (
    Number("natural accuracy, %", "", "natural_accuracy", 100),
    Number("PGD-20 accuracy, %", "", "robust_accuracy.pgd20", 100),
    Number(
        "accuracy under fifteen corruptions, %", "corruptions", "mean_accuracy", 100
    ),
    Number(
        "calibration error (equal width), %", "calibration",
        "expected_calibration_error.equal_width.value", 100,
    ),
    Number("mean confidence, %", "calibration", "mean_confidence", 100),
    Number("NLL", "calibration", "negative_log_likelihood"),
    *(
        Number(
            f"AUROC against {where['ood']}, {score.replace('_', ' ')}", "ood",
            f"scores.{score}.area_under_roc", where=where,
        )
        for where in (DIGITS, NOISE)
        for score in ("maximum_probability", "energy", "mahalanobis")
    ),
    *(
        Number(f"{kind} gap (training - test), points", "margins", f"gap.{kind}", 100)
        for kind in ("natural", "robust")
    ),
    *(
        Number(
            f"mean {kind} margin, {images}", "margins", f"means.{kind}_test_{images}"
        )
        for kind in ("logit", "relative")
        for images in ("natural", "adversarial")
    ),
    Number("mean distance to the boundary", "margins", "means.distance_test_natural"),
    Number("within / between classes, natural", "features", "natural.ratio"),
    Number("within / between classes, adversarial", "features", "adversarial.ratio"),
    Number("moved by the attack / between classes", "features", "moved_relative"),
)  # fmt: skip


def cells() -> dict[tuple[str, int], Cell]:
    """The runs by loss and seed."""
    return {
        (loss, seed): Cell(
            f"{loss}_{strength}_seed{seed}",
            f"{CONFIG}:loss={loss},strength={strength}",
            (f"--config.seed={seed}",),
            EVALUATIONS,
        )
        for seed in SEEDS
        for loss, strength in STRENGTHS.items()
    }


def value(number: Number, result: Mapping[str, Any]) -> float:
    """The number of one run, from its result and its records."""
    found: Any = result
    if number.measure:
        (record,) = (
            each
            for each in result["evaluations"]
            if each["measure"] == number.measure
            and number.where.items() <= each.items()
        )
        found = record["found"]
    for name in number.path.split("."):
        found = found[name]
    return number.scale * found


def print_table(results: Mapping[tuple[str, int], Mapping[str, Any]]) -> None:
    """A row for each number: mean ± deviation of both losses, and their difference."""
    heads = [f"{loss.upper()} (strength {s})" for loss, s in STRENGTHS.items()]
    print(f"| | {' | '.join(heads)} | IKL - KL, 95 % interval |\n|---|---|---|---|")
    for number in NUMBERS:
        by_loss = {
            loss: {seed: value(number, results[loss, seed]) for seed in SEEDS}
            for loss in STRENGTHS
        }
        shown = []
        for values in by_loss.values():
            found = differences.summary([*values.values()])
            shown.append(f"{found.mean:.3g} ± {found.deviation:.2g}")
        paired = differences.paired(by_loss["ikl"], by_loss["kl"])
        assert paired is not None
        mean, low, high = (f"{_rounded(x):+.2g}" for x in paired[1:4])
        interval = f"{mean} [{low}, {high}]"
        print(f"| {number.says} | {' | '.join(shown)} | {interval} |")


def _rounded(number: float | None) -> float:
    """Without the remainders that equal numbers leave when they are subtracted."""
    assert number is not None  # there are several seeds
    return round(number, 9) + 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--workdir", type=pathlib.Path, default=ROOT / "runs" / "fashion"
    )
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    made = cells()
    found = run_all([*made.values()], arguments.workdir, arguments.jobs)
    print_table({key: found[cell.name] for key, cell in made.items()})
    print(flush=True)
    folders = [str(arguments.workdir / cell.name) for cell in made.values()]
    picture = ROOT / "docs" / "fashion_mnist_margins.png"
    margins.main([*folders, f"--output={picture}"])


if __name__ == "__main__":
    main()
