"""The argument of a config, what follows its colon: `configs/x.py:loss=gkl,quick`."""

from collections.abc import Callable, Iterable
from typing import Any

Config = Any  # a ConfigDict, whose fields no checker knows
Variant = Callable[[Config, str], None]


def vary(
    config: Config,
    argument: str,
    variants: dict[str, Variant],
    valued: Iterable[str] = (),
) -> Config:
    """Applies the comma-separated options of a config's argument, in their order.

    Args:
      config: is changed.
      argument: options, each `name`, or `name=value` if it is among `valued`.
      variants: names to functions that change the config; they are given the value, or
        "" if there is none.
      valued: names of the options that have a value.
    """
    given: set[str] = set()
    for option in filter(None, argument.split(",")):
        name, equals, value = option.partition("=")
        if name not in variants:
            known = ", ".join(variants)
            raise ValueError(f"unknown config argument {name!r}; known: {known}")
        if name in given:
            raise ValueError(f"the option {name} is named more than once: {argument}")
        if equals and name not in valued:
            raise ValueError(f"the option {name} takes no value, got {option!r}")
        if name in valued and not value:
            raise ValueError(f"the option {name} needs a value: {name}=VALUE")
        given.add(name)
        variants[name](config, value)
        config.name += f":{option}"
    return config


def number(name: str, value: str) -> float:
    """The value of an option as a number."""
    try:
        return float(value)
    except ValueError:
        raise ValueError(f"{name} must be a number, got {value!r}") from None


def choose(argument: str, **groups: Iterable[str]) -> dict[str, str]:
    """The option that an argument names of each group, or else the group's first.

    >>> choose("loss=gkl,quick", loss=("ikl", "gkl"), size=("full", "quick"))
    {'loss': 'gkl', 'size': 'quick'}
    """
    allowed = {name: list(options) for name, options in groups.items()}
    chosen: dict[str, str] = {}
    for given in filter(None, argument.split(",")):
        named, _, option = given.rpartition("=")
        among = [named] if named else allowed
        group = next((n for n in among if option in allowed.get(n, ())), None)
        if group is None:
            known = "; ".join(
                f"{name} {' | '.join(options)}" for name, options in allowed.items()
            )
            raise ValueError(f"unknown config argument {given!r}; known: {known}")
        if group in chosen:
            raise ValueError(
                f"a config takes one {group}, got {chosen[group]!r} and {option!r}"
            )
        chosen[group] = option
    return {name: chosen.get(name, options[0]) for name, options in allowed.items()}


def divide(
    options: Iterable[str], **groups: Iterable[str]
) -> tuple[list[str], list[str]]:
    """The options that are for `choose` with these groups, and the others.

    >>> divide(["ikl", "loss=kd", "quick"], loss=("ikl", "gkl"))
    (['ikl', 'loss=kd'], ['quick'])
    """
    known = {option for among in groups.values() for option in among}
    ours: list[str] = []
    others: list[str] = []
    for option in options:
        is_ours = option in known or option.partition("=")[0] in groups
        (ours if is_ours else others).append(option)
    return ours, others


def reject(argument: str) -> None:
    if argument:
        raise ValueError(f"this config takes no argument, got {argument!r}")
