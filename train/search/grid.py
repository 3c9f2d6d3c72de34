"""The runs of a sweep: all combinations of values, with each seed.

A name is a field of the config (`optimizer.learning_rate`) or an option of its argument
(`loss` of `configs/fashion_mnist_at.py:loss=kl`). The config itself is asked which.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from train.base.config import Config
from train.base.errors import UserError
from train.experiment import settings
from train.search.cells import Cell, fields_of, folder_name

# A file with its options, and flags `--config.FIELD=VALUE`: to the config they make.
Load = Callable[[str, Sequence[str]], Config]
OPENING, CLOSING = "([{", ")]}"
REFUSED = ("unknown config argument", "takes no argument")  # by a config's function


class Axis(NamedTuple):
    """What a sweep varies.

    Attributes:
      name: of a field or of an option.
      values: as they were typed.
      is_field: whether the name is a field's.
    """

    name: str
    values: tuple[str, ...]
    is_field: bool


def parse(text: str) -> tuple[str, tuple[str, ...]]:
    """The name and the values of `NAME=a,b,c`.

    Commas in brackets belong to a value.

    >>> parse("optimizer.milestones=(0.5,0.75),(0.9,)")
    ('optimizer.milestones', ('(0.5,0.75)', '(0.9,)'))
    """
    name, equals, values = text.partition("=")
    found, depth = [""], 0
    for character in values:
        depth += (character in OPENING) - (character in CLOSING)
        if character == "," and depth == 0:
            found.append("")
        else:
            found[-1] += character
    found = [value.strip() for value in found]
    if not name or not equals or not all(found):
        raise UserError(f"--vary must be NAME=VALUE,VALUE,..., got {text!r}")
    for value in found:
        if found.count(value) > 1:
            raise UserError(f"--vary={name} has the value {value} more than once")
    return name, tuple(found)


def axes(
    texts: Sequence[str], config: str, overrides: Sequence[str], load: Load
) -> list[Axis]:
    """What is varied.

    Args:
      texts: values of `--vary`.
      config: the file, with the options that all runs have.
      overrides: flags `--config.FIELD=VALUE` of all runs.
      load: makes a config.

    Raises:
      UserError: a name is neither a field nor an option, or takes no such value.
    """
    known = dict(settings.flat(fields_of(load(config, overrides))))
    found: list[Axis] = []
    for name, values in map(parse, texts):
        if name in [axis.name for axis in found]:
            raise UserError(f"--vary={name} is given more than once")
        if f"--config.{name}" in [each.partition("=")[0] for each in overrides]:
            raise UserError(f"--vary={name} and --config.{name} exclude each other")
        axis = Axis(name, values, name in known)
        for value in values:
            _check(axis, value, config, overrides, load)
        found.append(axis)
    return found


def _check(
    axis: Axis, value: str, config: str, overrides: Sequence[str], load: Load
) -> None:
    """Raises `UserError` for a name that is unknown, or does not take the value."""
    as_field = [*overrides, f"--config.{axis.name}={value}"]
    if axis.is_field or "." in axis.name:
        load(config, as_field)
        return
    try:
        load(_with_options(config, {axis.name: value}), overrides)
    except UserError as error:
        if not any(words in str(error) for words in REFUSED):
            raise
        try:
            load(config, as_field)
        except UserError as other:
            raise UserError(f"--vary={axis.name}: {error}; and {other}") from error
        raise


def cells(
    varied: Sequence[Axis],
    seeds: Sequence[int],
    config: str,
    overrides: Sequence[str],
    evaluations: Sequence[tuple[str, ...]],
    load: Load,
) -> list[Cell]:
    """A run for each combination, seed after seed, so that what is there compares.

    Args:
      varied: what differs between the runs.
      seeds: values of the field `seed`; empty: the config's own.
      config, overrides, load: as of `axes`.
      evaluations: the flags of each `python -m train.evaluate`.

    Raises:
      UserError: a combination is refused by the config.
    """
    if seeds and "seed" in [axis.name for axis in varied]:
        raise UserError("--vary=seed and --seeds exclude each other")
    found = []
    for seed in [{"seed": str(seed)} for seed in seeds] or [{}]:
        for values in itertools.product(*(axis.values for axis in varied)):
            chosen = {a.name: value for a, value in zip(varied, values, strict=True)}
            options = {a.name: chosen[a.name] for a in varied if not a.is_field}
            fields = {a.name: chosen[a.name] for a in varied if a.is_field} | seed
            changed = [f"--config.{name}={value}" for name, value in fields.items()]
            name, with_options = (
                folder_name(chosen | seed),
                _with_options(config, options),
            )
            flags = [*overrides, *changed]
            found.append(create(name, with_options, flags, evaluations, load))
    return found


def create(
    name: str,
    config: str,
    overrides: Sequence[str],
    evaluations: Sequence[tuple[str, ...]],
    load: Load,
) -> Cell:
    """A cell that knows the fields of its config.

    Raises:
      UserError: the config cannot be made.
    """
    fields = fields_of(load(config, overrides))
    return Cell(name, config, tuple(overrides), tuple(evaluations), fields)


def _with_options(config: str, options: Mapping[str, str]) -> str:
    """The config with further options in its argument.

    >>> _with_options("configs/x.py:quick", {"loss": "kl"})
    'configs/x.py:quick,loss=kl'
    """
    path, _, argument = config.partition(":")
    added = [f"{name}={value}" for name, value in options.items()]
    whole = ",".join([*filter(None, [argument]), *added])
    return f"{path}:{whole}" if whole else path
