"""Labels images that have no label, by the network of a run.

`python -m train.pseudo_label --workdir=runs/teacher --output=pseudo.npz`

Each image gets the class that the network finds most likely. The images are those of
the run's training part that have no label (`data.num_labels`, `data.label_list`);
`--images=FILE.npz` names others, an array `image` uint8 [N, H, W, K] or a .npy file of
it, and `--source=SOURCE` the training part of another data set. Labels that may be
there are not read. `--threshold=0.9` leaves out images whose class is less likely.

The file is a part of synthetic images: `train.convert_synthetic` converts it, and with
`data.synthetic` any recipe mixes it with labelled images. docs/semi_supervised.md
"""

import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from train import cli
from train.base import files, terminal
from train.base.errors import UserError

WEIGHTS = ("last", "averaged", "best")


def main(argv: Sequence[str] | None = None) -> int:
    required = ("workdir", "output")
    return cli.run(
        argv, define=_define, required=required, call=_label,
        examples=(
            "python -m train.pseudo_label --workdir=runs/teacher --output=pseudo.npz "
            "--images=unlabelled.npz --threshold=0.9",
        ),
    )  # fmt: skip


def _define(values: flags.FlagValues, argv: list[str]) -> None:
    for name, text in (
        ("workdir", "The folder of the run whose network labels."),
        ("output", "The .npz file to write."),
        (
            "images",
            "A .npz file with an array `image`, or a .npy file. Default: the images of "
            "the run without labels.",
        ),
        ("source", "A data source, whose training part is labelled instead."),
    ):
        flags.DEFINE_string(name, None, text, flag_values=values)
    flags.DEFINE_enum(
        "weights", None, WEIGHTS, "Default: averaged if the run keeps them, else last.",
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_float(
        "threshold", 0.0, "The least probability of a class, from 0 to below 1.",
        flag_values=values,
    )  # fmt: skip


def _label(values: flags.FlagValues) -> None:
    from train.evaluation import pseudo_labels, target, unlabelled

    output = _output(values.output)
    if not 0 <= values.threshold < 1:
        raise UserError(f"--threshold must lie in [0, 1), got {values.threshold:g}")
    if values.images is not None and values.source is not None:
        raise UserError("--images and --source cannot be given together")
    workdir = files.of_run(values.workdir, "--workdir")
    teacher = target.of_run(workdir, values.weights, {})
    if values.images is not None:
        images = unlabelled.of_file(files.local(values.images, "--images"), teacher)
    elif values.source is not None:
        images = unlabelled.of_source(values.source, teacher)
    else:
        images = unlabelled.of_target(teacher, workdir)
    found = pseudo_labels.of(teacher, images, values.threshold)
    about = pseudo_labels.about(teacher, images, values.threshold)
    pseudo_labels.write(output, found, about)
    for line in _report(output, found, teacher.data.num_classes):
        print(terminal.shown(line))


def _output(name: str) -> files.Path:
    output = files.local(name, "--output")
    if output.suffix != ".npz" or not output.parent.is_dir():
        raise UserError(
            f"--output must be a .npz file in an existing folder, got {output}"
        )
    if output.exists():
        raise UserError(f"--output: there is {output} already")
    return output


def _report(output: files.Path, found: Any, num_classes: int) -> list[str]:
    """What was labelled and how to go on."""
    import numpy as np

    counts = np.bincount(found.labels, minlength=num_classes)
    missing = np.flatnonzero(counts == 0)
    lines = [
        f"{output}: {len(found.labels):,} of {found.considered:,} images, "
        f"{counts.min():,} to {counts.max():,} of each of {num_classes} classes"
    ]
    if len(missing):
        lines.append(f"classes without an image: {', '.join(map(str, missing))}")
    folder = output.with_suffix("")
    lines.append(
        f"next: python -m train.convert_synthetic --parts={output} --output={folder} "
        f"--num_classes={num_classes}"
    )
    return lines


if __name__ == "__main__":
    sys.exit(main())
