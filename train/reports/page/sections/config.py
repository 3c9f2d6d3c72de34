"""The config of the runs: what differs between them, and all of it."""

import json
from collections.abc import Sequence
from typing import Any

from train.reports.page.html import (
    Content,
    Html,
    details,
    element,
    name,
    section,
    table,
)
from train.reports.page.runs import Run, differing


def draw(runs: Sequence[Run]) -> Html | None:
    """The section; None if no config is known."""
    known = [run for run in runs if run.folder.config]
    if not known:
        return None
    parts: list[Content] = []
    if len(known) > 1:
        parts.append(element("h3", "What differs"))
        parts.append(_differences(known))
    for run in _distinct(known):
        title: Content = "All fields"
        if len(known) > 1:
            title = [title, " of ", name(run.name)]
        parts.append(details(title, _fields(run)))
    lead = (
        "The fields whose values differ between the runs, then all fields."
        if len(known) > 1
        else "All fields with which the run was started; config.json holds them, too."
    )
    return section("config", "Config", *parts, lead=lead)


def _distinct(runs: Sequence[Run]) -> list[Run]:
    """One run of each setting: the others differ in the fields of the table above."""
    return list({run.setting: run for run in reversed(runs)}.values())[::-1][:4]


def _differences(runs: Sequence[Run]) -> Html:
    """A row for each run, so that a long list of runs reads downwards."""
    fields = differing(runs)
    if not fields:
        return element("p", "The configs of all runs are the same.")
    body = [
        [name(run.name), *(_value(values[place]) for values in fields.values())]
        for place, run in enumerate(runs)
    ]
    head = ["run", *(element("code", field) for field in fields)]
    label = "Fields whose values differ between the runs"
    return table(head, body, label=label, numbers_from=len(head))


def _fields(run: Run) -> Html:
    rows = [
        [element("code", field), _value(value)]
        for field, value in run.folder.config.items()
    ]
    return table(
        ["field", "value"], rows, label=f"Config of {run.name}", class_="fields"
    )


def _value(value: Any) -> Html:
    if value is None:
        return element("span", "–", class_="muted")
    if value == "":
        return element("span", "empty", class_="muted")
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return name(text)
