"""Evaluates a run: `python -m train.evaluate --workdir=runs/digits_ikl_at --steps=100`.

Prints natural and robust accuracy, and adds a record to `evaluation.json` in the
workdir, with a per-example file in `evaluations/`. `--attack=autoattack` evaluates by
AutoAttack, which goes on where it was stopped, and draws `autoattack.png`. Weights that
`train.convert` has written are evaluated on any source:

`python -m train.evaluate --weights=FILE.npz --source=cifar10:DIR --attack=autoattack`

On many machines, start the same command on each of them with `--distributed`: each
evaluates its share of the examples.
"""

import dataclasses
import functools
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags
from ml_collections import config_flags
from rich.console import Console

from ikl_jax import checks
from ikl_jax.attacks.common import geometry
from train import cli
from train.base import contents, files, terminal
from train.base.errors import UserError, explained
from train.base.files import Path
from train.devices import preemption, processes
from train.evaluation import records, target
from train.evaluation.judgement import Judgement, Options, check_options
from train.evaluation.kinds import KINDS
from train.experiment import settings
from train.networks import converted
from train.reports import pictures

FLAGS = (
    (flags.DEFINE_string, "workdir",
     "The folder of the run, or for the results of --weights=FILE. Required without "
     "--weights=FILE."),
    (flags.DEFINE_string, "weights",
     "last, averaged or best of a run (default: averaged if the run keeps them), or a "
     "file of train.convert."),
    (flags.DEFINE_string, "source", "With --weights=FILE: the data to evaluate on."),
    (flags.DEFINE_string, "model",
     "With --weights=FILE: the architecture that the file must hold."),
    (flags.DEFINE_string, "norm", "linf, l2 or l1. Default: the config's."),
    (flags.DEFINE_float, "epsilon",
     "Radius in pixels of [0, 1]. Default: the config's."),
    (flags.DEFINE_integer, "steps", "Steps of each restart of PGD."),
    (flags.DEFINE_integer, "restarts", "Uniform starts of PGD. 0: no attack."),
    (flags.DEFINE_float, "relative_step_size", "Step size of PGD, in epsilons."),
    (flags.DEFINE_integer, "num_examples",
     "Evaluate on the first examples alone. Default: on all."),
    (flags.DEFINE_string, "version",
     "Version of AutoAttack, or names of its attacks with commas between: "
     "apgd-ce,square. Default: standard."),
    (flags.DEFINE_integer, "seed",
     "Seed of the attack. Default: 0, and of PGD the config's."),
)  # fmt: skip
WEIGHTS = ("last", "averaged", "best")
OPTIONS = (
    "norm", "epsilon", "steps", "restarts", "relative_step_size", "version", "seed",
    "num_examples",
)  # fmt: skip
BASE_CONFIG = pathlib.Path(__file__).parent.parent / "configs" / "base.py"
OF_A_FILE = ("model", "source", "config")
# Fields of the config that change the evaluation of a file.
FIELDS_OF_A_FILE = (
    "mesh", "seed", "data.", "attack.norm", "attack.epsilon", "evaluation.batch_size",
    "evaluation.shots", "evaluation.steps", "evaluation.restarts",
    "evaluation.relative_step_size",
)  # fmt: skip
# Fields that are printed with a line for each entry.
LISTED = ("stages", "notes", "worst_classes", "most_confused")


def main(argv: Sequence[str] | None = None) -> int:
    kept = "an AutoAttack goes on from its last finished batch by the same command"
    return cli.run(argv, define=_define, call=_evaluate, kept=kept)


def _define(values: flags.FlagValues, argv: list[str]) -> None:
    for define, name, text in FLAGS:
        define(name, None, text, flag_values=values)
    flags.DEFINE_bool(
        "picture", True, "Search for distances, and draw them (AutoAttack).",
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_enum(
        "attack", "pgd", [*KINDS], "The kind of evaluation.", flag_values=values
    )
    cli.define_config(
        values, argv, str(BASE_CONFIG), "With --weights=FILE: how its data are read, "
        "and the defaults of the attack. Single fields, of a run too: "
        "--config.FIELD=VALUE.",
    )  # fmt: skip
    cli.process_flags.define(values)
    flags.register_multi_flags_validator(
        ["weights", "workdir"], _names_something,
        "--workdir is required, or --weights=FILE", flag_values=values,
    )  # fmt: skip


def _names_something(given: dict[str, str | None]) -> bool:
    return bool(given["workdir"]) or _is_file(given["weights"])


def _is_file(weights: str | None) -> bool:
    return weights is not None and weights not in WEIGHTS


def _evaluate(values: flags.FlagValues) -> None:
    options = Options(
        **{name: values[name].value for name in OPTIONS}, picture=values.picture
    )
    _check(options.given(), options.num_examples)
    changed = config_flags.get_override_values(values["config"])
    check_options(values.attack, options, KINDS, changed)
    if values["picture"].present and values.attack != "autoattack":
        raise UserError(
            f"--picture is for --attack=autoattack, not for {values.attack}"
        )
    cli.process_flags.start(values)
    preemption.end_at_sigterm()
    _agree(values, options)
    evaluated = _target(values, changed)
    evaluated.agree()
    console = terminal.console(quiet=not processes.is_main())
    if processes.is_main():
        _warn_if_damaged(evaluated.workdir)
    found: dict[str, Any] = {}
    for judgement in KINDS[values.attack].judge(evaluated, options, console):
        found = judgement.record
        keep = functools.partial(_keep, evaluated.workdir, judgement, console)
        processes.on_main(keep)
    if processes.is_main():
        _print_record(found)


def _keep(workdir: Path, judgement: Judgement, console: Console) -> None:
    try:
        records.add(workdir, judgement)
        if "distance" in judgement.per_example:
            _draw(workdir, judgement, console)
    except UserError:
        _print_record(judgement.record)  # so that it is not lost
        raise


def _agree(values: flags.FlagValues, options: Options) -> None:
    """Raises `UserError` unless all processes were started with the same flags."""
    given = {"attack": values.attack, **dataclasses.asdict(options)}
    if not _is_file(values.weights):  # the content of a file is compared, not its name
        given["weights"] = values.weights
    shown = [f"--{name}={value}" for name, value in given.items() if value is not None]
    processes.agree("flags", " ".join(shown))
    settings.agree(values.config)


def _warn_if_damaged(workdir: Path) -> None:
    """Says so before a long evaluation if its record cannot be added to the others."""
    try:
        records.read(workdir)
    except UserError as error:
        terminal.warn(
            f"{error}; the result will only be printed, unless the file is mended or "
            "moved before the end"
        )


def _draw(workdir: Path, judgement: Judgement, console: Console) -> None:
    """Draws the picture beside the per-example file; `autoattack.png` is the newest."""
    path = (workdir / judgement.per_example_file).with_suffix(".png")
    newest = workdir / "autoattack.png"
    pictures.save_robustness(path, judgement.record, judgement.per_example)
    with files.reading(path):
        drawn = path.read_bytes()
    with files.whole(newest) as file:
        file.write(drawn)
    console.print(f"picture: {newest}", highlight=False)


def _print_record(record: dict[str, Any]) -> None:
    """Prints all but the curve, which has a picture, and what is empty."""
    for field, value in record.items():
        if field == "curve" or value == {}:
            continue
        if field not in LISTED or not value:
            print(terminal.shown(f"{field}: {_text(value)}"))
            continue
        print(f"{field}:")
        for entry in value:
            print(terminal.shown(f"  {_text(entry)}"))


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(entry)}" for name, entry in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _target(values: flags.FlagValues, changed: Mapping[str, Any]) -> target.Target:
    if not _is_file(values.weights):
        for name in OF_A_FILE:
            if values[name].present:
                raise UserError(f"--{name} is for --weights=FILE, not for a run")
        return target.of_run(
            files.of_run(values.workdir, "--workdir"), values.weights, changed
        )
    for field in changed:
        if not settings.is_among(field, FIELDS_OF_A_FILE):
            raise UserError(
                f"--config.{field} has no effect with --weights=FILE; these fields "
                f"have: {', '.join(FIELDS_OF_A_FILE)}"
            )
    path, config = files.named(values.weights, "--weights"), values.config
    if path.suffix != ".npz":
        raise UserError(
            f"--weights must be {', '.join(WEIGHTS)} or an .npz file of train.convert, "
            f"got {path}; python -m train.convert makes one from torch's files"
        )
    model = converted.read(path).model
    if values.model not in (None, model):
        raise UserError(f"--model={values.model}, but {path} holds weights of {model}")
    config.data.source = values.source or config.data.source
    workdir = files.named(values.workdir or str(path.with_suffix("")), "--workdir")
    with files.written(workdir):
        workdir.mkdir(parents=True, exist_ok=True)
    return target.of_file(path, config, workdir)


def _check(given: dict[str, Any], num_examples: int | None) -> None:
    """Raises `UserError` for values that no attack can use."""
    numbers = {
        name: value for name, value in given.items() if isinstance(value, int | float)
    }
    counted = {} if num_examples is None else {"num_examples": num_examples}
    for name, value in {**numbers, **counted}.items():
        contents.check(f"--{name}", value, type(value))
    with explained():
        checks.one_of("norm", given.get("norm", "linf"), geometry.NORMS)
        checks.positive(**counted)
        checks.non_negative(**numbers)


if __name__ == "__main__":
    sys.exit(main())
