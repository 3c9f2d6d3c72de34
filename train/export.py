"""Writes a run's weights for others: `python -m train.export --workdir=runs/digits
--output=export`.

The folder `--output` gets

- `weights.safetensors`, with the names of this package;
- `torch.safetensors`, with torch's names and layouts, where torch has the architecture;
- `model.jax_export`, a program from images to logits for CPU, TPU and CUDA, which runs
  without this package;
- `README.md`, a model card with the data, the recipe, all accuracies that were measured
  on these weights, and how to read each file.

docs/export.md shows how to read them.
"""

import sys
from collections.abc import Sequence

from absl import flags

from train import cli
from train.base import files, terminal

WEIGHTS = ("last", "averaged", "best")


def main(argv: Sequence[str] | None = None) -> int:
    required = ("workdir", "output")
    return cli.run(
        argv, define=_define, required=required, call=_export,
        examples=(
            "python -m train.export --workdir=runs/digits --output=export "
            "--weights=best --license=apache-2.0",
        ),
        kept="the files that are printed are whole; the same command writes all again",
    )  # fmt: skip


def _define(values: flags.FlagValues, argv: list[str]) -> None:
    for name, default, text in (
        ("workdir", None, "The folder of the run."),
        ("output", None, "The folder to write, of its own."),
        ("license", "unknown", "The licence of the weights, for the model card."),
    ):
        flags.DEFINE_string(name, default, text, flag_values=values)
    flags.DEFINE_enum(
        "weights", None, WEIGHTS, "Default: averaged if the run keeps them, else last.",
        flag_values=values,
    )  # fmt: skip


def _export(values: flags.FlagValues) -> None:
    from train import release
    from train.evaluation import target

    workdir = files.of_run(values.workdir, "--workdir")
    output = files.named(values.output, "--output")
    release.check(output)
    evaluated = target.of_run(workdir, values.weights, {})
    for path in release.write(output, evaluated, values.license):
        print(terminal.shown(path))


if __name__ == "__main__":
    sys.exit(main())
