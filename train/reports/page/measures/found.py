"""What a measure has found on the weights of a run."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from train.base.errors import UserError
from train.reports.page import reading
from train.reports.page.html import Content, Html, element, joined, name
from train.reports.page.runs import Run


@dataclasses.dataclass(frozen=True)
class Found:
    """A record of a measure.

    Attributes:
      run: of the weights.
      key: the name of the record.
      record: all that it holds.
    """

    run: Run
    key: str
    record: Mapping[str, Any]

    @property
    def measure(self) -> str:
        return self.record["measure"]

    @property
    def content(self) -> Mapping[str, Any]:
        """What was found."""
        return self.record["found"]

    def arrays(self, *names: str) -> dict[str, Any]:
        """Those of the named arrays that can be read."""
        try:
            return reading.arrays(self.run.folder, self.record, names)
        except UserError:
            return {}


class Drawing(NamedTuple):
    """How the page shows the records of one measure.

    Attributes:
      title: of its part of the page.
      lead: what it says.
      draw: maps its records, of one run or several, to what is shown.
    """

    title: str
    lead: str
    draw: Callable[[Sequence[Found]], Content]


def titles(found: Sequence[Found]) -> list[Html]:
    """The name of each record's run; with weights and data where a run has several."""
    runs = [each.run.name for each in found]
    return [
        name(each.run.name) if runs.count(each.run.name) == 1 else _whole(each)
        for each in found
    ]


def _whole(each: Found) -> Html:
    record = each.record
    what = (
        f"{record['weights']} weights, {record['dataset']} ({record['evaluated_on']})"
    )
    return joined(name(each.run.name), " ", element("small", name(what)))


def notes(found: Sequence[Found]) -> Html:
    """What the measure itself remarks, with the runs of which it says so."""
    runs: dict[str, dict[str, None]] = {}
    for each in found:
        for note in each.content.get("notes", ()):
            runs.setdefault(str(note), {})[each.run.name] = None
    everybody = len({each.run.name for each in found})
    return joined(
        element("p", _of_whom([*names], everybody), f"{note}.", class_="hint")
        for note, names in runs.items()
    )


def _of_whom(names: Sequence[str], everybody: int) -> Html:
    """The names before a remark, unless it is of all runs."""
    if len(names) == everybody:
        return joined("")
    first = ((name(each), ", ") for each in names[:-1])
    return joined(first, name(names[-1]), ": ")
