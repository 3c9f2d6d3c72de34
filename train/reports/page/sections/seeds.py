"""Settings that several seeds repeat: mean and standard deviation over the seeds."""

import statistics
from collections.abc import Sequence

from train.reports.page import numbers
from train.reports.page.charts import marks
from train.reports.page.html import Content, Html, element, joined, name, table
from train.reports.page.runs import Run, differing
from train.reports.rows import Column, Row

Rows = Sequence[tuple[Run, Row]]


def draw(found: Rows, attacks: dict[Column, str]) -> Html | None:
    """A row for each setting that has two runs or more on the same data.

    Args:
      found: the rows of the results.
      attacks: the columns and their headings.
    """
    groups: dict[tuple[int, str, str], list[tuple[Run, Row]]] = {}
    for run, row in found:
        groups.setdefault(
            (run.setting, row.data, row.records[0]["weights"]), []
        ).append((run, row))
    repeated = {key: rows for key, rows in groups.items() if len(rows) > 1}
    if not repeated:
        return None
    firsts = [rows[0][0] for rows in groups.values()]
    fields = [field for field in differing(firsts) if field != "seed"]
    body = [_row(rows, attacks, fields) for rows in repeated.values()]
    head = ["setting", "runs", "natural", *attacks.values()]
    drawn = table(head, body, label="Means over seeds", class_="results")
    hint = "Mean ± standard deviation over runs that differ in their seed alone."
    return joined(element("h3", "Over seeds"), element("p", hint, class_="hint"), drawn)


def _row(
    rows: Rows, attacks: dict[Column, str], fields: Sequence[str]
) -> list[Content]:
    run = rows[0][0]
    said = [f"{field}={run.folder.config.get(field)}" for field in fields[:3]]
    title = name(", ".join(said) or run.name)
    naturals = [row.natural["natural_accuracy"] for _, row in rows]
    cells: list[Content] = [
        element("span", marks.sample(run.look), title, class_="run"), str(len(rows)),
        _spread(naturals),
    ]  # fmt: skip
    for column in attacks:
        entries = [row.robust().get(column) for _, row in rows]
        cells.append(_spread([each[0][1] for each in entries if each]))
    return cells


def _spread(values: Sequence[float]) -> str:
    """Mean and standard deviation in percent; the mean alone of one value."""
    if not values:
        return "–"
    mean = numbers.percent(statistics.mean(values))
    if len(values) == 1:
        return f"{mean} (of 1)"
    deviation = 100 * statistics.stdev(values)
    return mean.replace(numbers.THIN, f" ± {deviation:.1f}{numbers.THIN}")
