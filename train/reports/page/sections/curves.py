"""The curves of training: accuracies, terms of the loss, drift of the class means."""

from collections.abc import Iterator, Sequence

from train.reports.page import numbers, words
from train.reports.page.charts import frame, lines, marks
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
from train.reports.page.reading import Folder
from train.reports.page.runs import Look, Run

# Metrics that share a chart if the page shows one run, each with its look.
TOGETHER = {
    "Accuracy": {
        "eval_natural_accuracy": Look(0, 0, 0), "eval_robust_accuracy": Look(1, 0, 1),
        "natural_accuracy": Look(0, 2, 2), "robust_accuracy": Look(1, 2, 3),
    },
    "Terms of the loss": {
        "loss": Look(0, 0, 0), "cross_entropy": Look(1, 1, 1),
        "divergence": Look(2, 2, 2), "distillation": Look(3, 3, 3),
    },
}  # fmt: skip
FIRST = (*words.METRICS,)  # the order of charts; other metrics come after these
LEFT_OUT = {"step", "seconds"}


def draw(runs: Sequence[Run]) -> Html | None:
    """The section; None if no run has a log."""
    logged = [run for run in runs if run.folder.lines]
    if not logged:
        return None
    charts = _of_one(logged[0]) if len(runs) == 1 else _of_several(logged)
    gaps = [_gaps(run) for run in logged]
    return section(
        "curves", "Training",
        None if len(runs) == 1 else marks.legend_of_runs(logged),
        gaps,
        element("div", *charts, class_="charts"),
        lead="From the log of each run. Held-out accuracies are those of the "
        "evaluations in training, on the first images of the evaluated part.",
    )  # fmt: skip


def points(folder: Folder, metric: str) -> list[lines.Point]:
    """Steps and values of a metric; what is no number is left out, NaN is not."""
    found = [
        (float(line["step"]), float(line[metric]))
        for line in folder.lines
        if type(line.get(metric)) is float or numbers.is_number(line.get(metric))
    ]
    return sorted(found, key=lambda point: point[0])


def _metrics(runs: Sequence[Run]) -> list[str]:
    """The metrics of the logs that have something to show."""
    found = dict.fromkeys(m for run in runs for line in run.folder.lines for m in line)
    order = {metric: place for place, metric in enumerate(FIRST)}
    shown = [m for m in found if m not in LEFT_OUT and _is_shown(runs, m)]
    return sorted(shown, key=lambda metric: order.get(metric, len(order)))


def _is_shown(runs: Sequence[Run], metric: str) -> bool:
    """Whether a run has numbers for it; epsilon is shown only where it changes."""
    values = {y for run in runs for _, y in points(run.folder, metric)}
    return bool(values) and (metric != "epsilon" or len(values) > 1)


def _of_one(run: Run) -> Iterator[Html]:
    """Charts of one run: what belongs together is in one chart."""
    metrics = _metrics([run])
    for title, together in TOGETHER.items():
        shown = [metric for metric in together if metric in metrics]
        if shown:
            drawn = {
                words.metric(metric): Line(
                    words.metric(metric), points(run.folder, metric), together[metric]
                )
                for metric in shown
            }
            legend = marks.legend((line.look, text) for text, line in drawn.items())
            yield _chart(title, [*drawn.values()], shown[0], legend)
    grouped = {metric for together in TOGETHER.values() for metric in together}
    for metric in metrics:
        if metric not in grouped:
            line = Line(words.metric(metric), points(run.folder, metric), Look(0, 0, 0))
            yield _chart(words.metric(metric), [line], metric, None)


def _of_several(runs: Sequence[Run]) -> Iterator[Html]:
    """A chart for each metric, with a line for each run."""
    for metric in _metrics(runs):
        drawn = [
            Line(run.name, found, run.look)
            for run in runs
            if (found := points(run.folder, metric))
        ]
        yield _chart(words.metric(metric), drawn, metric, None)


def _chart(title: str, drawn: Sequence[Line], metric: str, legend: Html | None) -> Html:
    share = metric.endswith("accuracy")
    axes = lines.frame_of(drawn, "step", title, as_percent=share)
    described = "; ".join(_described(line, share) for line in drawn[:12])
    picture = frame.svg(
        lines.drawn(drawn, axes), title=f"{title} against steps", description=described
    )
    rows = [_row(line, share) for line in drawn]
    head = ("", "first", "lowest", "highest", "last")
    return frame.figure(
        title, picture, unit="%" if share else "", below=legend,
        numbers_below=table(head, rows, label=f"{title}: numbers"),
    )  # fmt: skip


def _described(line: Line, share: bool) -> str:
    finite = line.finite()
    if not finite:
        return f"{isolated(line.name)}: no finite value"
    first, last = _shown(finite[0][1], share), _shown(finite[-1][1], share)
    return f"{isolated(line.name)}: from {first} to {last}"


def _row(line: Line, share: bool) -> list[Html | str]:
    values = [y for _, y in line.finite()]
    if not values:
        return [name(line.name), *["not finite"] * 4]
    found = values[0], min(values), max(values), values[-1]
    return [name(line.name), *(_shown(value, share) for value in found)]


def _shown(value: float, share: bool) -> str:
    return numbers.percent(value) if share else numbers.short(value)


def _gaps(run: Run) -> Html | None:
    """Says where metrics of a run are not finite, which leaves gaps in its curves."""
    found = []
    for metric in _metrics([run]):
        steps = [x for x, y in points(run.folder, metric) if not numbers.is_number(y)]
        if steps:
            where = f"step {steps[0]:g}"
            if len(steps) > 1:
                where = f"{len(steps)} steps from {steps[0]:g} to {steps[-1]:g}"
            found.append(f"{words.metric(metric).lower()} at {where}")
    if not found:
        return None
    text = f": not finite, so there are gaps: {numbers.listed(found)}."
    return element("p", joined(name(run.name), text), class_="note")
