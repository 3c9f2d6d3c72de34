"""What a measure has found on the weights of a run."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from train.base.errors import UserError
from train.reports.page import reading
from train.reports.page.html import Html, element, joined, name
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
