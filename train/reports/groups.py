"""Runs that differ in nothing but the seed, and what groups of them differ in."""

import json
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

from train.base import config as sections
from train.base.errors import UserError
from train.experiment import settings
from train.reports.folders import RunFiles

# What of a result a group agrees in, besides its config.
OF_RESULT = ("weights", "evaluated_on", "data_fingerprint")
Seed = tuple[Any, ...]  # the values of the fields that a group is taken over


class Group(NamedTuple):
    """Runs with the same settings and different seeds.

    Attributes:
      settings: all that its runs agree in, by dotted field.
      runs: by seed.
    """

    settings: Mapping[str, Any]
    runs: Mapping[Seed, RunFiles]


class Grouped(NamedTuple):
    """Groups in the order of their first runs, and sentences about what is not in."""

    groups: list[Group]
    notes: list[str]


class Labels(NamedTuple):
    """How groups are told apart.

    Attributes:
      fields: as few as distinguish all groups.
      others: that differ, too, together with these.
    """

    fields: list[str]
    others: list[str]


def group(runs: Sequence[RunFiles], over: Sequence[str] = ("seed",)) -> Grouped:
    """Groups finished runs by their configs.

    Args:
      runs: with results and configs.
      over: the fields in which the runs of a group differ.

    Raises:
      UserError: no config has such a field, or that of a run lacks it.
    """
    known = set(sections.names())
    for field in over:
        if field not in known:
            raise UserError(f"--over={field}: a config has no field {field}")
    found: dict[str, Group] = {}
    notes = []
    for run in runs:
        agreed = _agreed(run, over)
        key = json.dumps(agreed, sort_keys=True, default=str)
        members = dict(found[key].runs) if key in found else {}
        seed = _seed(run, over)
        if seed in members:
            notes.append(
                f"{run.name} has the settings and the seed of {members[seed].name}, "
                "and is left out"
            )
        else:
            found[key] = Group(agreed, {**members, seed: run})
    return Grouped(list(found.values()), notes)


def labels(groups: Sequence[Group]) -> Labels:
    """The fields that distinguish the groups, those of names first."""
    order = [*sections.names(), *OF_RESULT]
    fields = sorted({field for each in groups for field in each.settings},
                    key=lambda field: _place(field, order))  # fmt: skip
    different = [
        field for field in fields if len({_text(each, field) for each in groups}) > 1
    ]
    chosen: list[str] = []
    for field in different:
        before = len({tuple(_text(each, name) for name in chosen) for each in groups})
        after = len(
            {tuple(_text(each, name) for name in [*chosen, field]) for each in groups}
        )
        if after > before:
            chosen.append(field)
    return Labels(chosen, [field for field in different if field not in chosen])


def shown(value: Any) -> str:
    """A setting as a table shows it.

    >>> shown(0.1), shown(""), shown([0.5, 0.75])
    ('0.1', 'none', '[0.5, 0.75]')
    """
    if isinstance(value, float):
        return f"{value:.6g}"
    return "none" if value in ("", None) else str(value)


def chosen(groups: Sequence[Group], text: str) -> int:
    """The number of the group that `--baseline` names.

    Args:
      groups: to choose from.
      text: FIELD=VALUE, several with commas between, or the folder of a run. Of a field
        in which groups differ, the last part of the name is enough, and `loss=kl`
        stands for `loss.name=kl`.

    Raises:
      UserError: it names none, or several.
    """
    names, others = labels(groups)
    matching = [
        number for number, each in enumerate(groups)
        if text.rstrip("/") in [run.folder.rstrip("/") for run in each.runs.values()]
    ] or [
        number for number, each in enumerate(groups)
        if all(_has(each, part, [*names, *others]) for part in text.split(","))
    ]  # fmt: skip
    if len(matching) == 1:
        return matching[0]
    among = matching or range(len(groups))
    listed = "; ".join(",".join(description(groups[i], names)) for i in among)
    count = f"{len(matching)} groups" if matching else "no group"
    raise UserError(f"--baseline={text} names {count}; choose one of: {listed}")


def description(group: Group, fields: Sequence[str]) -> list[str]:
    return [f"{field}={shown(group.settings.get(field))}" for field in fields]


def _seed(run: RunFiles, over: Sequence[str]) -> Seed:
    fields = run.fields or {}
    for field in over:
        if field not in fields:
            raise UserError(f"{run.folder}/config.json lacks the field {field}")
    values = [fields[field] for field in over]
    return tuple(x if isinstance(x, Hashable) else json.dumps(x) for x in values)


def _agreed(run: RunFiles, over: Sequence[str]) -> dict[str, Any]:
    fields, result = run.fields or {}, run.result or {}
    ours = {
        field: value
        for field, value in fields.items()
        if field not in over and not settings.is_among(field, settings.WITHOUT_EFFECT)
    }
    return ours | {name: result[name] for name in OF_RESULT if name in result}


def _place(field: str, order: Sequence[str]) -> tuple[bool, int]:
    is_name = field == "recipe" or field.endswith(".name")
    return not is_name, order.index(field) if field in order else len(order)


def _text(group: Group, field: str) -> str:
    return json.dumps(group.settings.get(field), sort_keys=True, default=str)


def _has(group: Group, part: str, different: Sequence[str]) -> bool:
    """Whether a group has the setting FIELD=VALUE, in a short form if it differs."""
    name, equals, value = part.strip().partition("=")
    if not equals:
        return False
    return any(
        value == shown(there) or _equal_numbers(value, there)
        for field, there in group.settings.items()
        if name == field
        or (
            field in different
            and name in (field.rpartition(".")[2], field.removesuffix(".name"))
        )
    )


def _equal_numbers(text: str, value: Any) -> bool:
    try:
        return not isinstance(value, bool | str | list) and float(text) == float(value)
    except (TypeError, ValueError):
        return False
