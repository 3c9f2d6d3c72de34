"""Do larger margins generalise? `python -m train.margins runs/digits_*`.

Reads what `train.evaluate --measure=margins` has found for three or more runs, sets the
mean margins beside the generalisation gap, natural and robust, and prints Spearman's
rank correlation with the p-value of a permutation test. The gap is the accuracy on the
training part minus that on the test part. `--output` draws a picture.
"""

import sys
from collections.abc import Sequence

from absl import flags

from train import cli
from train.base import files, terminal
from train.base.errors import UserError
from train.reports import folders, gap_picture, generalisation

PARTS = ("training", "test")


def main(argv: Sequence[str] | None = None) -> int:
    return cli.run(
        ["margins", *(sys.argv[1:] if argv is None else argv)], define=_define,
        call=_relate, positional="runs",
        examples=("python -m train.margins runs/kl_* runs/ikl_* --output=margins.png",),
    )  # fmt: skip


def _define(values: flags.FlagValues, argv: list[str]) -> None:
    flags.DEFINE_multi_string(
        "runs", None, "The folder of a run; an argument without a flag is one, too",
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_enum(
        "part", "training", PARTS, "The part whose margins are taken.",
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_string(
        "output", None, "A .png file for the picture.", flag_values=values
    )


def _relate(values: flags.FlagValues) -> None:
    output = _output(values.output)
    found = folders.found(values.runs)
    points = generalisation.points(found.runs)
    relations = generalisation.relations(points, values.part)
    console = terminal.console()
    console.print(generalisation.runs_table(points, values.part))
    for relation in relations:
        print(
            f"{relation.what} and {relation.gap} gap: {relation.correlation.statement}"
        )
    for caution in [*found.notes, *generalisation.cautions(points, relations)]:
        console.print(caution)
    if output is not None:
        gap_picture.save(output, points, relations, values.part)
        console.print(f"picture: {output}", highlight=False)


def _output(name: str | None) -> files.Path | None:
    if name is None:
        return None
    if not name.endswith(".png"):
        raise UserError(f"--output must be a .png file, got {name}")
    return files.named(name, "--output")


if __name__ == "__main__":
    sys.exit(main())
