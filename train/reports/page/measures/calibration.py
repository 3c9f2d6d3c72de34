"""Calibration: the errors, and accuracy against confidence."""

from collections.abc import Mapping, Sequence
from typing import Any

from train.reports.page import numbers
from train.reports.page.charts import frame, lines, marks
from train.reports.page.charts.frame import Axis, Frame
from train.reports.page.charts.lines import Line
from train.reports.page.html import Content, Html, element, isolated, joined, table
from train.reports.page.measures.found import Drawing, Found, notes, titles
from train.reports.page.runs import Look

HEAD = (
    "run", "accuracy", "mean confidence", "error, equal width", "error, equal mass",
    "NLL", "Brier score", "temperature", "error after it", "NLL after it",
)  # fmt: skip
AFTER = Look(1, 1, 1)


def draw(found: Sequence[Found]) -> Html:
    """A row for each run, and the reliability diagram."""
    rows = [_row(title, each) for title, each in zip(titles(found), found, strict=True)]
    drawn = [
        Line(each.run.name, _points(each.content), each.run.look) for each in found
    ]
    after = found[0].content["after_temperature"]
    if len(found) == 1:
        drawn = [Line("as it is", drawn[0].points, Look(0, 0, 0))]
        if after is not None:
            drawn.append(Line("at the temperature", _points(after), AFTER))
    return joined(
        table(HEAD, rows, label="Calibration"),
        element("div", _diagram(drawn), class_="charts"),
        notes(found),
    )


def _row(title: Content, each: Found) -> list[Content]:
    found = each.content
    error, after = found["expected_calibration_error"], found["after_temperature"]
    cells: list[Content] = [
        title, numbers.percent(each.record["natural_accuracy"]),
        numbers.percent(found["mean_confidence"]), _interval(error["equal_width"]),
        _interval(error["equal_mass"]), numbers.short(found["negative_log_likelihood"]),
        numbers.short(found["brier_score"]),
    ]  # fmt: skip
    if after is None:
        return [*cells, "–", "–", "–"]
    return [
        *cells, numbers.short(found["temperature"]),
        numbers.percent(after["expected_calibration_error"]["equal_width"]["value"]),
        numbers.short(after["negative_log_likelihood"]),
    ]  # fmt: skip


def _interval(error: Mapping[str, float]) -> Html:
    """An error with its bootstrap interval below."""
    low, high = 100 * error["low"], 100 * error["high"]
    interval = element("small", f"{low:.1f} to {high:.1f}", class_="block")
    return joined(numbers.percent(error["value"]), interval)


def _points(found: Mapping[str, Any]) -> list[lines.Point]:
    return [
        (each["confidence"], each["accuracy"])
        for each in found["reliability"]["equal_width"]
        if each["count"]
    ]


def _diagram(drawn: Sequence[Line]) -> Html:
    axes = Frame(
        Axis("confidence, %", 0.0, 1.0, as_percent=True),
        Axis("", 0.0, 1.0, as_percent=True),
    )
    start, end = (f"{axes.left(v):.1f} {axes.top(v):.1f}" for v in (0.0, 1.0))
    said = "; ".join(
        f"{isolated(line.name)}: {_largest(line.points)}" for line in drawn[:12]
    )
    picture = frame.svg(
        [
            element("path", class_="guide", d=f"M{start}L{end}"),
            lines.drawn(drawn, axes),
        ],
        title="Reliability diagram", description=said,
    )  # fmt: skip
    return frame.figure(
        "Reliability", picture, unit="accuracy, %",
        below=marks.legend((line.look, isolated(line.name)) for line in drawn),
    )  # fmt: skip


def _largest(points: Sequence[lines.Point]) -> str:
    """Where accuracy is farthest from confidence."""
    x, y = max(points, key=lambda point: abs(point[0] - point[1]))
    return f"at confidence {numbers.percent(x)} accuracy is {numbers.percent(y)}"


DRAWING = Drawing(
    "Calibration",
    "Whether images are classified correctly as often as the model's confidence says. "
    "The error is the mean difference of both, with its bootstrap interval of 95 %; on "
    "the dotted line they are equal.",
    draw,
)
