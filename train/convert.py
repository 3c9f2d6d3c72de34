"""Converts weights of torch to a file that recipes and `train.evaluate` read.

`python -m train.convert --weights=FILE --model=cifar_resnet56 --output=teacher.npz`

FILE is a .safetensors file or a checkpoint of `torch.save`; torch is not needed. What
was taken from it is printed, and so is what was left out. `--key=KEY` takes other
weights of a checkpoint that holds several, `--prefix=PREFIX` another network among the
names.

A network that was trained on normalised images needs the same normalisation here. If
the file does not hold it, `--mean=0.5071,0.4867,0.4408 --std=0.2675,0.2565,0.2761` (of
mdistiller for CIFAR-100) does. `--class_names=FILE`, with one name a line, records the
order of the classes; training a student on data with another order is then refused.

A vision transformer has positions for images of one size. `--image_size=32` fits those
of the file to images of 32 x 32 pixels.

`--without_classifier` leaves out the last layer, whatever its form. Training can start
from such weights (`model.initial_weights`) and draws a classifier of its own.
"""

import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from absl import flags

from train import cli
from train.base import files, terminal
from train.base.errors import UserError, explained


def main(argv: Sequence[str] | None = None) -> int:
    required = ("weights", "model", "output")
    examples = (
        "python -m train.convert --weights=resnet32x4.pth --model=cifar_resnet32x4 "
        "--output=teacher.npz --mean=0.5071,0.4867,0.4408 --std=0.2675,0.2565,0.2761",
    )
    return cli.run(
        argv, define=_define, required=required, call=_convert, examples=examples
    )


def _define(values: flags.FlagValues, argv: list[str]) -> None:
    for name, text in (
        ("weights", "The .safetensors, .pth or .pt file."),
        ("model", "A name that `python -m ikl_jax.models` lists."),
        ("output", "The .npz file to write."),
        ("key", "Where in the file the weights are: state_dict_ema, for example."),
        (
            "prefix",
            "What stands before the names of the weights: student, for example.",
        ),
    ):
        flags.DEFINE_string(name, None, text, flag_values=values)
    for name, meaning in (("mean", "mean"), ("std", "standard deviation")):
        flags.DEFINE_list(
            name, None, f"The {meaning} of each channel of images in [0, 1].",
            flag_values=values,
        )  # fmt: skip
    flags.DEFINE_integer(
        "image_size", None, "The side of the images, for a vision transformer: fits "
        "its positions to it. Default: the size that the weights are for.",
        lower_bound=1, flag_values=values,
    )  # fmt: skip
    flags.DEFINE_bool(
        "without_classifier", False, "Leave out the last layer: the weights are to "
        "start training from.", flag_values=values,
    )  # fmt: skip
    flags.DEFINE_string(
        "class_names", None, "A file with one name a line, in the order of logits.",
        flag_values=values,
    )  # fmt: skip


def _convert(values: flags.FlagValues) -> None:
    import jax
    import jax.numpy as jnp

    from ikl_jax import models
    from train.networks import converted, fitting, torch_files

    output = files.named(values.output, "--output")
    if output.suffix != ".npz" or not output.parent.is_dir():
        raise UserError(
            f"--output must be a .npz file in an existing folder, got {output}"
        )
    normalize = _normalize(values.mean, values.std)
    if values.without_classifier and values.class_names is not None:
        raise UserError(
            "--class_names is for a classifier, which --without_classifier leaves out"
        )
    with explained():  # before a large file is read
        models.create(values.model)
    with files.local_copy(files.named(values.weights, "--weights")) as weights:
        found = torch_files.read(weights, values.key)
    fitted = fitting.fit(
        values.model, found.state_dict, prefix=values.prefix, normalized=bool(normalize)
    )
    variables, said = _variables(values, fitted)
    num_classes = len(variables["params"]["classifier"]["bias"])
    names = _class_names(values.class_names, num_classes) or found.class_names
    result = converted.Converted(values.model, num_classes, normalize, variables, names)
    if normalize is None:
        result = result.normalized(fitted.normalize)
    with explained():  # raises if the normalisation has another number of channels
        side = result.image_side
        images = jax.ShapeDtypeStruct((1, side, side, result.channels), jnp.float32)
        jax.eval_shape(result.create().apply, variables, images)
    if values.without_classifier:
        result = result.without_classifier()
    converted.write(output, result)
    report = _report(values.model, result.normalize, found, fitted)
    for line in (*report, *said):
        print(f"{terminal.shown(values.weights)}: {terminal.shown(line)}")
    count = sum(leaf.size for leaf in jax.tree.leaves(result.variables["params"]))
    print(
        f"{terminal.shown(output)}: {values.model} with {result.num_classes or 'no'} "
        f"classes and {count:,} parameters"
    )


def _variables(values: flags.FlagValues, fitted: Any) -> tuple[dict, list[str]]:
    """Flax variables, and what is said of the classifier and of the positions.

    With --without_classifier they have one of zeros in its place.
    """
    from ikl_jax import models
    from train.networks import backbone

    state_dict, said = fitted.state_dict, []
    if values.without_classifier:
        state_dict, replaced = backbone.replaced(values.model, state_dict)
        said = [f"left out the classifier: {_grouped(replaced, '')}"] * bool(replaced)
    with explained(), warnings.catch_warnings(record=True) as changed:
        warnings.simplefilter("always")
        variables = models.from_torch(
            values.model, state_dict, image_size=values.image_size
        )
    return variables, [*said, *_said(changed)]


def _said(changed: Sequence[warnings.WarningMessage]) -> list[str]:
    """What the conversion says of positions that it changed."""
    return [str(each.message) for each in changed if each.category is UserWarning]


def _report(model: str, normalize: Any, found: Any, fitted: Any) -> Iterator[str]:
    """What was taken from a file and what was left out, a sentence each."""
    if found.key:
        others = f"; --key takes others: {', '.join(found.others)}" * bool(found.others)
        yield f"took the weights at {found.key}{others}"
    elif found.others:
        yield f"took the file itself; --key takes others: {', '.join(found.others)}"
    if fitted.prefix:
        yield f"removed {fitted.prefix!r} from the beginning of the names"
    if fitted.left_out:
        yield f"left out what {model} has no layers for: " + _grouped(
            fitted.left_out, fitted.prefix
        )
    if found.not_tensors:
        yield f"left out what is no tensor: {', '.join(found.not_tensors)}"
    source = f" (from {fitted.normalize_from})" * bool(fitted.normalize_from)
    if normalize is not None:
        mean, deviation = (", ".join(map(str, values)) for values in normalize)
        yield f"normalises by mean {mean} and deviation {deviation}{source}"
    else:
        yield (
            "no normalisation in the file, and no --mean and --std: the architecture's "
            "own, if it has one"
        )


def _grouped(names: Sequence[str], prefix: str) -> str:
    """Names of tensors, those of one module together: sub_block1.* (50)."""
    groups: dict[str, list[str]] = {}
    for name in names:
        before = prefix if name.startswith(prefix) else ""
        module = before + name.removeprefix(before).split(".")[0]
        groups.setdefault(module, []).append(name)
    return ", ".join(
        names[0] if len(names) == 1 else f"{module}.* ({len(names)})"
        for module, names in groups.items()
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
