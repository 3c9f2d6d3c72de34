"""Searches for the best values of a config's fields, on the validation part.

`python -m train.tune configs/digits_ikl_at.py:validation --workdir=runs/tune
--trials=30 --space="loss.alpha=log:1..40 loss.beta=1..10
optimizer.learning_rate={0.05,0.1}"`

Each trial is a run in a folder of its own, `trials/NUMBER`, evaluated on the validation
part. `--space` names the fields that vary: `LOW..HIGH` is a range, `log:LOW..HIGH` one
whose logarithm is drawn evenly, `{A,B}` a choice. It may be a file of JSON, too.
`--config.FIELD=VALUE` changes a field of all trials.

The same command again goes on, and so does a second process beside the first one. A
trial whose process was killed goes on from its checkpoint. A trial that is worse than
the median of the others at the same epoch ends early (`--pruner`).

`--objective=natural,robust` searches for the Pareto front of both accuracies. Optuna
prunes with one objective alone, so all trials are then trained to the end.

At the end the folder holds `table.md`, `study.json`, `sensitivity.png` and `best.py`,
the best trial's config as a file to run: `python -m train
--config=runs/tune/best.py --workdir=runs/best`. docs/search.md
"""

import sys
from collections.abc import Sequence

from absl import flags

from train import cli
from train.base import files, terminal
from train.base.errors import UserError
from train.cli import config_flag
from train.search.cells import Cell
from train.search.studies import PRUNERS, SAMPLERS, Settings

OBJECTIVES = ("natural", "robust")


def main(argv: Sequence[str] | None = None) -> int:
    given = list(sys.argv if argv is None else argv)
    rest, overrides = config_flag.apart(given)

    def call(values: flags.FlagValues) -> None:
        _tune(values, overrides)

    return cli.run(
        rest, define=_define, call=call, positional="configs",
        required=("space", "workdir"),
        kept="finished trials stay, and the same command goes on",
    )  # fmt: skip


def _define(values: flags.FlagValues, argv: list[str]) -> None:
    flags.DEFINE_multi_string(
        "configs", None, "The config, with :OPTIONS after it; an argument without a "
        "flag is one, too.", flag_values=values,
    )  # fmt: skip
    for name, default, text in (
        ("space", None, "The fields that vary, FIELD=VALUES ..., or a file of JSON."),
        ("workdir", None, "The folder of the study."),
        ("objective", None, "What to raise, on the validation part: natural, robust, "
         "or natural,robust. Default: robust, without an attack natural."),
    ):  # fmt: skip
        flags.DEFINE_string(name, default, text, flag_values=values)
    flags.DEFINE_integer(
        "trials", 20, "Trials of the study in the end, those before included.",
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_integer("seed", 0, "Of the sampler.", flag_values=values)
    flags.DEFINE_enum(
        "sampler", "tpe", SAMPLERS, "How values are chosen: by what was good so far, "
        "or at random, which shows the sensitivity best.", flag_values=values,
    )  # fmt: skip
    flags.DEFINE_enum(
        "pruner", None, PRUNERS, "Default: median, with several objectives none.",
        flag_values=values,
    )  # fmt: skip


def _tune(values: flags.FlagValues, overrides: Sequence[str]) -> None:
    from train.search import outputs, studies, tuning

    studies.require()
    wanted, cell = _settings(values, overrides)
    study = studies.opened(wanted)
    console = terminal.console()
    tuning.search(study, wanted, cell, console.print)
    outputs.write(study, wanted, console)


def _settings(
    values: flags.FlagValues, overrides: Sequence[str]
) -> tuple[Settings, Cell]:
    """What the user asks for, and the command that all trials have in common."""
    from train.search import comparable
    from train.search import space as spaces

    if len(values.configs) > 1:
        raise UserError(f"a search has one config, got {', '.join(values.configs)}")
    if values.trials < 1:
        raise UserError(f"--trials must be at least 1, got {values.trials}")
    if values.seed < 0:
        raise UserError(f"--seed must not be negative, got {values.seed}")
    (name,) = values.configs
    config = config_flag.load(name, overrides)
    comparable.check_config(config)
    space = spaces.read(values.space)
    for field in space:
        if f"--config.{field}" in [each.partition("=")[0] for each in overrides]:
            raise UserError(f"--space: {field} and --config.{field} exclude each other")
    objectives = _objectives(values.objective, config.evaluation.restarts)
    comparable.check_space(space, config, objectives)
    workdir = files.local(values.workdir, "--workdir")
    wanted = Settings(
        workdir, config, space, objectives, values.trials, values.sampler,
        _pruner(values.pruner, objectives, config.evaluation.every), values.seed,
    )  # fmt: skip
    return wanted, Cell("", name, tuple(overrides))


def _objectives(given: str | None, restarts: int) -> tuple[str, ...]:
    if given is None:
        return ("robust",) if restarts else ("natural",)
    names = tuple(given.split(","))
    if len(set(names)) < len(names) or not set(names) <= set(OBJECTIVES):
        raise UserError(
            f"--objective must be natural, robust or natural,robust, got {given}"
        )
    if "robust" in names and not restarts:
        raise UserError(
            "--objective=robust needs an attack: evaluation.restarts must be above 0"
        )
    return names


def _pruner(given: str | None, objectives: tuple[str, ...], every: int) -> str:
    if given is None:
        return "median" if len(objectives) == 1 and every else "none"
    if given != "none" and len(objectives) > 1:
        raise UserError(
            f"--pruner={given} needs one objective: Optuna does not prune with several"
        )
    if given != "none" and not every:
        raise UserError(
            f"--pruner={given} needs evaluations in training: evaluation.every must be "
            "above 0"
        )
    return given


if __name__ == "__main__":
    sys.exit(main())
