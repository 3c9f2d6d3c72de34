"""Corruptions: accuracy by corruption and severity, mCE."""

from collections.abc import Sequence

from train.reports.page import numbers
from train.reports.page.charts import cells, frame, lines, marks
from train.reports.page.charts.lines import Line
from train.reports.page.html import (
    Content,
    Html,
    details,
    element,
    isolated,
    joined,
    name,
    table,
)
from train.reports.page.measures.found import Drawing, Found, notes, titles

HEAD = ("run", "natural", "mean under corruptions", "mCE", "relative mCE")


def draw(found: Sequence[Found]) -> Html:
    """Means of each run, accuracy against severity, then all accuracies."""
    heads = titles(found)
    rows = [
        [
            title, numbers.percent(each.record["natural_accuracy"]),
            numbers.percent(each.content["mean_accuracy"]),
            numbers.percent(each.content["mce"]),
            numbers.percent(each.content["relative_mce"]),
        ]
        for title, each in zip(heads, found, strict=True)
    ]  # fmt: skip
    parts: list[Content] = [table(HEAD, rows, label="Accuracy under corruptions")]
    parts.append(element("div", _by_severity(found), class_="charts"))
    if len(found) > 1:
        parts.append(_by_corruption(found, heads))
    for title, each in zip(heads, found, strict=True):
        whole = _whole(each)
        if len(found) == 1:
            parts.append(whole)
        else:
            parts.append(details(joined("By severity: ", title), whole))
    return joined(*parts, notes(found))


def _by_severity(found: Sequence[Found]) -> Html:
    """Mean accuracy from severity 0, the images as they are."""
    drawn = [Line(each.run.name, _points(each), each.run.look) for each in found]
    axes = lines.frame_of(drawn, "severity", "", as_percent=True)
    said = "; ".join(
        f"{isolated(line.name)}: from {numbers.percent(line.points[0][1])} to "
        f"{numbers.percent(line.points[-1][1])}"
        for line in drawn[:12]
    )
    picture = frame.svg(
        lines.drawn(drawn, axes), title="Accuracy against severity", description=said
    )
    legend = None
    if len(found) > 1:
        legend = marks.legend_of_runs(each.run for each in found)
    return frame.figure("Accuracy against severity", picture, unit="%", below=legend)


def _points(each: Found) -> list[lines.Point]:
    severities = each.record.get("severities", range(1, 6))
    means = each.content["mean_accuracy_by_severity"]
    corrupted = [(float(s), v) for s, v in zip(severities, means, strict=False)]
    return [(0.0, each.record["natural_accuracy"]), *corrupted]


def _by_corruption(found: Sequence[Found], heads: Sequence[Content]) -> Html:
    """Of each corruption and each run the mean over severities."""
    kinds = list(dict.fromkeys(k for each in found for k in each.content["accuracy"]))
    means = [
        {k: _mean(v) for k, v in each.content["accuracy"].items()} for each in found
    ]
    values = [[each.get(kind) for each in means] for kind in kinds]
    return cells.table(
        values, rows=[name(kind.replace("_", " ")) for kind in kinds], columns=heads,
        label="Mean accuracy under each corruption", corner="mean over severities",
        shown=[[numbers.percent(value) for value in row] for row in values],
    )  # fmt: skip


def _whole(each: Found) -> Html:
    accuracy = each.content["accuracy"]
    count = len(next(iter(accuracy.values())))
    severities = each.record.get("severities", range(1, count + 1))
    return cells.table(
        list(accuracy.values()),
        rows=[name(kind.replace("_", " ")) for kind in accuracy],
        columns=[f"severity {severity}" for severity in severities],
        label="Accuracy under each corruption at each severity",
        shown=[[numbers.percent(v) for v in row] for row in accuracy.values()],
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


DRAWING = Drawing(
    "Common corruptions",
    "Accuracy on images with noise, blur, weather and digital damage. mCE is the error "
    "relative to that of a baseline; lower is better.",
    draw,
)
