"""Evaluates a run: `python -m train.evaluate --workdir=runs/digits_ikl_at --steps=100`.

Prints natural and robust accuracy, and adds a record to `evaluation.json` in the
workdir, with a per-example file in `evaluations/`. `--attack=autoattack` evaluates by
AutoAttack, which goes on where it was stopped, and draws `autoattack.png`. Weights that
`train.convert` has written are evaluated on any source:

`python -m train.evaluate --weights=FILE.npz --source=cifar10:DIR --attack=autoattack`

`--measure` asks for more than accuracy (docs/measures.md). All measures share one pass,
and each has a record and a picture of its own:

`python -m train.evaluate --workdir=runs/digits_ikl_at --measure=calibration,classes`

On many machines, start the same command on each of them with `--distributed`: each
evaluates its share of the examples.
"""

import dataclasses
import functools
import sys
from collections.abc import Sequence
from typing import Any

from absl import flags
from rich.console import Console

from ikl_jax import checks
from ikl_jax.attacks.common import geometry
from train import cli
from train.base import contents, files, terminal
from train.base.errors import UserError, explained
from train.base.files import Path
from train.cli import evaluated, measure_flags
from train.devices import preemption, processes
from train.evaluation import records
from train.evaluation.judgement import (
    Judgement,
    Options,
    check_options,
    given_flags,
)
from train.evaluation.kinds import KINDS
from train.evaluation.measures import judging
from train.evaluation.measures.measure import Measure
from train.experiment import settings
from train.reports import pictures, printed

FLAGS = (
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
     "Seed of random numbers. Default: 0, and of PGD the config's."),
)  # fmt: skip
OPTIONS = (
    "norm", "epsilon", "steps", "restarts", "relative_step_size", "version", "seed",
    "num_examples",
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    kept = "an AutoAttack goes on from its last finished batch by the same command"
    return cli.run(argv, define=_define, call=_evaluate, kept=kept)


def _define(values: flags.FlagValues, argv: list[str]) -> None:
    evaluated.define(values, argv)
    for define, name, text in FLAGS:
        define(name, None, text, flag_values=values)
    flags.DEFINE_bool(
        "picture", True, "Draw what was found; of AutoAttack, search for distances.",
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_enum(
        "attack", "pgd", [*KINDS], "The kind of evaluation.", flag_values=values
    )
    measure_flags.define(values)
    cli.process_flags.define(values)


def _evaluate(values: flags.FlagValues) -> None:
    options = Options(
        **{name: values[name].value for name in OPTIONS}, picture=values.picture
    )
    _check(options.given(), options.num_examples)
    measures = measure_flags.measures(values)
    _check_choice(values, options, measures)
    own = judging.values(measures, measure_flags.given(values))
    cli.process_flags.start(values)
    preemption.end_at_sigterm()
    _agree(values, options)
    target = evaluated.target_of(values)
    target.agree()
    console = terminal.console(quiet=not processes.is_main())
    if processes.is_main():
        _warn_if_damaged(target.workdir)
    if measures:
        judgements = judging.judge(measures, target, options, own, console)
    else:
        judgements = KINDS[values.attack].judge(target, options, console)
    found: dict[str, dict[str, Any]] = {}
    for judgement in judgements:
        found[judgement.key] = judgement.record
        keep = functools.partial(_keep, target.workdir, judgement, options, console)
        processes.on_main(keep)
    if processes.is_main():
        _print(*found.values())


def _check_choice(
    values: flags.FlagValues, options: Options, measures: Sequence[Measure]
) -> None:
    """Raises `UserError` for flags that what is asked for does not read."""
    takers = {f"--attack={name}": kind.options for name, kind in KINDS.items()}
    takers |= measure_flags.takers()
    chosen = [f"--measure={each.name}" for each in measures]
    chosen = chosen or [f"--attack={values.attack}"]
    given = given_flags(options, evaluated.changed_fields(values))
    given |= {f"--{name}": name for name in measure_flags.given(values)}
    if values["picture"].present:
        given["--picture"] = "picture"
    check_options(chosen, given, takers)


def _keep(
    workdir: Path, judgement: Judgement, options: Options, console: Console
) -> None:
    try:
        records.add(workdir, judgement)
        if options.picture:
            _draw(workdir, judgement, console)
    except UserError:
        _print(judgement.record)  # so that it is not lost
        raise


def _agree(values: flags.FlagValues, options: Options) -> None:
    """Raises `UserError` unless all processes were started with the same flags."""
    given = {"attack": values.attack, **dataclasses.asdict(options)}
    if not evaluated.is_file(values.weights):
        given["weights"] = values.weights  # of a file the content is compared
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
    """Draws the picture, if there is one, beside the per-example file.

    The newest one lies in the workdir too, such as `autoattack.png`.
    """
    path = (workdir / judgement.per_example_file).with_suffix(".png")
    name = pictures.save_of_record(path, judgement.record, judgement.per_example)
    if name is None:
        return
    newest = workdir / f"{name}.png"
    with files.reading(path):
        drawn = path.read_bytes()
    with files.whole(newest) as file:
        file.write(drawn)
    console.print(f"picture: {newest}", highlight=False)


def _print(*shown: dict[str, Any]) -> None:
    for record in shown:
        for line in printed.lines(record):
            print(line)


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
