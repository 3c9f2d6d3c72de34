"""Converts weights of torch to a file that recipes and `train.evaluate` read.

`python -m train.convert --weights=FILE --model=cifar_resnet56 --output=teacher.npz`

FILE is a .safetensors file, or a checkpoint of `torch.save`, which needs torch. A
network that was trained on normalised images needs the same normalisation here:
`--mean=0.5071,0.4867,0.4408 --std=0.2675,0.2565,0.2761` is mdistiller's for CIFAR-100.
`--class_names=FILE`, with one name a line, records the order of the classes; training a
student on data with another order is then refused.
"""

import sys
from collections.abc import Sequence

from absl import flags

from train import cli
from train.base import files, terminal
from train.base.errors import UserError, explained


def main(argv: Sequence[str] | None = None) -> int:
    required = ("weights", "model", "output")
    return cli.run(argv, define=_define, required=required, call=_convert)


def _define(values: flags.FlagValues, argv: list[str]) -> None:
    for name, text in (
        ("weights", "The .safetensors, .pth or .pt file."),
        ("model", "A name that `python -m ikl_jax.models` lists."),
        ("output", "The .npz file to write."),
    ):
        flags.DEFINE_string(name, None, text, flag_values=values)
    for name, meaning in (("mean", "mean"), ("std", "standard deviation")):
        flags.DEFINE_list(
            name, None, f"The {meaning} of each channel of images in [0, 1].",
            flag_values=values,
        )  # fmt: skip
    flags.DEFINE_string(
        "class_names", None, "A file with one name a line, in the order of logits.",
        flag_values=values,
    )  # fmt: skip


def _convert(values: flags.FlagValues) -> None:
    import jax
    import jax.numpy as jnp

    from ikl_jax import models
    from train.networks import converted, torch_files

    output = files.named(values.output, "--output")
    if output.suffix != ".npz" or not output.parent.is_dir():
        raise UserError(
            f"--output must be a .npz file in an existing folder, got {output}"
        )
    normalize = _normalize(values.mean, values.std)
    with explained():  # before a large file is read
        models.create(values.model)
    with files.local_copy(files.named(values.weights, "--weights")) as weights:
        state_dict = torch_files.read(weights)
    with explained():
        variables = models.from_torch(values.model, state_dict)
    num_classes = len(variables["params"]["classifier"]["bias"])
    names = _class_names(values.class_names, num_classes)
    result = converted.Converted(values.model, num_classes, normalize, variables, names)
    with explained():  # raises if the normalisation has another number of channels
        images = jax.ShapeDtypeStruct((1, 32, 32, result.channels), jnp.float32)
        jax.eval_shape(result.create().apply, variables, images)
    converted.write(output, result)
    count = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    print(
        f"{terminal.shown(output)}: {values.model} with {num_classes} classes and "
        f"{count:,} parameters"
    )


def _normalize(
    mean: list[str] | None, std: list[str] | None
) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Both flags as numbers, or None where neither is given."""
    if mean is None and std is None:
        return None
    if mean is None or std is None:
        raise UserError("--mean and --std must be given together")
    try:
        return tuple(map(float, mean)), tuple(map(float, std))
    except ValueError as error:
        given = f"{','.join(mean)} and {','.join(std)}"
        raise UserError(f"--mean and --std must be numbers, got {given}") from error


def _class_names(file: str | None, num_classes: int) -> tuple[str, ...] | None:
    if file is None:
        return None
    try:
        path = files.named(file, "--class_names")
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--class_names cannot be read: {error}") from error
    names = tuple(filter(None, map(str.strip, lines)))
    if len(set(names)) != num_classes or len(names) != num_classes:
        raise UserError(
            f"--class_names must have a line for each of the {num_classes} classes, "
            f"got {len(names)} in {file}, {len(set(names))} of them different"
        )
    return names


if __name__ == "__main__":
    sys.exit(main())
