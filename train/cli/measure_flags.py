"""The flags of measures: `--measure`, and those that each measure brings."""

from typing import Any

from absl import flags

from train.base.errors import UserError
from train.cli import process_flags
from train.evaluation.measures import judging, registry
from train.evaluation.measures.measure import Measure

OF_A_KIND = {int: flags.DEFINE_integer, float: flags.DEFINE_float}


def define(values: flags.FlagValues) -> None:
    """Defines the flags."""
    flags.DEFINE_string(
        "measure", None, f"In place of an attack: {', '.join(registry.MEASURES)}, or "
        "several of them with commas between.", flag_values=values,
    )  # fmt: skip
    for name, option in registry.options().items():
        readers = [m.name for m in registry.MEASURES.values() if option in m.options]
        default = "" if option.default is None else f" Default: {option.default}."
        text = f"With --measure={' or '.join(readers)}: {option.text}{default}"
        define_one = OF_A_KIND.get(option.kind, flags.DEFINE_string)
        define_one(name, None, text, flag_values=values)


def measures(values: flags.FlagValues) -> list[Measure]:
    """Those that `--measure` names; none if it is not given.

    Raises:
      UserError: one is unknown, or a flag is given that no measure goes with.
    """
    if values.measure is None:
        return []
    found = judging.named(values.measure)
    if values["attack"].present:
        raise UserError(
            "--attack and --measure cannot be given together: a measure that attacks "
            "does so by PGD"
        )
    together = [name for name in process_flags.NAMES if values[name].present]
    if together:
        raise UserError(
            f"--{together[0]} is for an attack, whose examples processes share: "
            "--measure runs in one process"
        )
    return found


def given(values: flags.FlagValues) -> dict[str, Any]:
    """The values of the measures' own flags that are given, by name."""
    names = registry.options()
    return {n: values[n].value for n in names if values[n].value is not None}


def takers() -> dict[str, tuple[str, ...]]:
    """For each `--measure=NAME` the options that it reads."""
    return {
        f"--measure={name}": (
            *measure.common,
            *(option.name for option in measure.options),
            "picture",
        )
        for name, measure in registry.MEASURES.items()
    }
