"""What is left after each attack of AutoAttack."""

from collections.abc import Sequence

from train.reports.page import numbers, words
from train.reports.page.html import Html, element, joined, name, table
from train.reports.page.runs import Run


def draw(runs: Sequence[Run]) -> Html | None:
    """A table and AutoAttack's remarks; None if no run was attacked by it."""
    found = [
        (run, record)
        for run in runs
        for record in run.folder.records.values()
        if isinstance(record.get("stages"), list) and record["stages"]
    ]
    if not found:
        return None
    stages = [
        {str(stage.get("attack")): stage for stage in record["stages"]}
        for _, record in found
    ]
    attacks = list(dict.fromkeys(attack for each in stages for attack in each))
    body = []
    for (run, record), each in zip(found, stages, strict=True):
        left = [each.get(attack, {}).get("robust_accuracy") for attack in attacks]
        title = joined(
            name(run.name), element("small", words.ball(record), class_="block")
        )
        body.append([title, *(numbers.percent(v) for v in left)])
    headings = [attack.replace("-", "\u2011") for attack in attacks]
    drawn = table(
        ["run", *headings], body,
        label="Robust accuracy after each attack of AutoAttack",
    )  # fmt: skip
    remarks = [
        element("p", joined(name(run.name), f": {note}"), class_="note")
        for run, record in found
        for note in record.get("notes", ())
    ]
    title = element("p", element("b", "After each attack of AutoAttack"))
    return element("div", title, drawn, remarks)
