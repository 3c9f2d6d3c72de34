"""Robust accuracy against epsilon, from the distances that AutoAttack's record has."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from train.base.errors import UserError
from train.reports.page import numbers, reading, words
from train.reports.page.charts import frame, lines, marks
from train.reports.page.charts.frame import Axis, Frame
from train.reports.page.charts.lines import Line
from train.reports.page.html import (
    Html,
    element,
    isolated,
    joined,
    name,
    section,
    table,
)
from train.reports.page.runs import Run
from train.reports.page.sections import stages

POINTS = 81  # of a curve
SHARES = (0.0, 0.5, 1.0, 1.5, 2.0)  # of epsilon, in the table


@dataclasses.dataclass(frozen=True)
class Curve:
    """Robust accuracy of a run as a function of epsilon.

    Attributes:
      run: of the weights.
      record: of AutoAttack.
      points: epsilon and robust accuracy.
    """

    run: Run
    record: Mapping[str, Any]
    points: Sequence[lines.Point]

    @property
    def place(self) -> tuple[str, ...]:
        """Data and norm, which curves of one chart share."""
        fields = ("dataset", "evaluated_on", "norm")
        return tuple(str(self.record.get(field, "")) for field in fields)

    def at(self, epsilon: float) -> float:
        xs, ys = zip(*self.points, strict=True)
        return float(np.interp(epsilon, xs, ys))

    def half(self) -> float | None:
        """The first epsilon at which at most half of the examples resist."""
        return next((x for x, y in self.points if y <= 0.5), None)


def draw(runs: Sequence[Run]) -> Html | None:
    """The section; None if no run has distances."""
    found, notes = curves(runs)
    if not found:
        return element("div", notes) if notes else None
    charts = []
    for place in dict.fromkeys(curve.place for curve in found):
        charts.append(_chart([curve for curve in found if curve.place == place], runs))
    return section(
        "epsilon", "Robust accuracy against epsilon",
        notes,
        element("div", *charts, stages.draw(runs), class_="charts wide"),
        lead="The share of the examples whose nearest misclassified image that was "
        "found is farther than epsilon. FAB searches for it, and AutoAttack's images "
        "count; the dotted line is the epsilon of the attack.",
    )  # fmt: skip


def curves(runs: Sequence[Run]) -> tuple[list[Curve], list[Html]]:
    """For each run and norm the curve on the most examples; and what is damaged."""
    found: dict[tuple[str, ...], Curve] = {}
    notes = []
    for run in runs:
        for record in run.folder.records.values():
            try:
                points = _points(run, record)
            except UserError as error:
                notes.append(element("p", f"{error}.", class_="note"))
                points = _recorded(record)
            curve = Curve(run, record, points)
            key = (run.name, *curve.place)
            before = found.get(key)
            if points and (before is None or _examples(curve) > _examples(before)):
                found[key] = curve
    return list(found.values()), notes


def _examples(curve: Curve) -> int:
    return curve.record["num_examples"]


def _points(run: Run, record: Mapping[str, Any]) -> list[lines.Point]:
    if "curve" not in record or "measure" in record:
        return []
    distance = reading.arrays(run.folder, record, ["distance"]).get("distance")
    if distance is None or not len(distance):
        return _recorded(record)
    epsilons = np.linspace(0.0, 2 * record["epsilon"], POINTS)
    return [(float(e), float(np.mean(distance > e))) for e in epsilons]


def _recorded(record: Mapping[str, Any]) -> list[lines.Point]:
    """The points that the record itself has."""
    curve = record.get("curve")
    if not isinstance(curve, dict):
        return []
    xs, ys = curve.get("epsilon", ()), curve.get("robust_accuracy", ())
    pairs = zip(xs, ys, strict=False)
    return [(x, y) for x, y in pairs if numbers.is_number(x) and numbers.is_number(y)]


def _chart(found: Sequence[Curve], runs: Sequence[Run]) -> Html:
    dataset, part, norm = found[0].place
    norm = words.NORMS.get(norm, norm)
    reach = max(curve.points[-1][0] for curve in found)
    axes = Frame(Axis(f"epsilon ({norm})", 0.0, reach), Axis("", 0.0, 1.0, True))
    drawn = [Line(curve.run.name, curve.points, curve.run.look) for curve in found]
    epsilons = dict.fromkeys(curve.record["epsilon"] for curve in found)
    guides = [_guide(epsilon, axes) for epsilon in epsilons]
    said = "; ".join(_described(curve) for curve in found[:12])
    picture = frame.svg(
        [guides, lines.drawn(drawn, axes)],
        title=f"Robust accuracy against epsilon, {norm}", description=said,
    )  # fmt: skip
    many = len(runs) > 1
    return frame.figure(
        joined(name(f"{dataset} ({part})"), f", {norm}"), picture,
        unit="robust accuracy, %",
        below=marks.legend_of_runs(curve.run for curve in found) if many else None,
        numbers_below=_table(found),
    )  # fmt: skip


def _guide(epsilon: float, axes: Frame) -> Html:
    x, top, bottom = axes.left(epsilon), axes.top(1.0), axes.top(0.0)
    return element("path", class_="guide", d=f"M{x:.1f} {top:.1f}V{bottom:.1f}")


def _described(curve: Curve) -> str:
    epsilon = curve.record["epsilon"]
    half = curve.half()
    accuracy = numbers.percent(curve.at(epsilon))
    text = f"{isolated(curve.run.name)}: {accuracy} at {epsilon:g}"
    return text if half is None else f"{text}, half of the examples at {half:.3g}"


def _table(found: Sequence[Curve]) -> Html:
    epsilon = found[0].record["epsilon"]
    places = [share * epsilon for share in SHARES]
    head = ["", *(f"ε = {place:.3g}" for place in places), "half at ε ="]
    body = []
    for curve in found:
        half = curve.half()
        reach = curve.points[-1][0] * (1 + 1e-9)
        cells = [
            numbers.percent(curve.at(place)) if place <= reach else "–"
            for place in places
        ]
        body.append(
            [name(curve.run.name), *cells, "–" if half is None else f"{half:.3g}"]
        )
    return table(head, body, label="Robust accuracy at several epsilons")
