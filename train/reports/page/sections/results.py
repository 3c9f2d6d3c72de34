"""The table of results, and natural against robust accuracy."""

from collections.abc import Iterator, Sequence

from train.reports import tasks
from train.reports.page import numbers, words
from train.reports.page.charts import cells as coloured
from train.reports.page.charts import frame, marks
from train.reports.page.charts.frame import Axis, Frame
from train.reports.page.html import (
    Content,
    Html,
    element,
    isolated,
    name,
    section,
    table,
)
from train.reports.page.runs import Run
from train.reports.page.sections import seeds
from train.reports.rows import Column, Row, rows

Rows = Sequence[tuple[Run, Row]]
LEGEND = 8  # runs in the legend of a small chart, at most
HYPHEN = "\u2011"  # at which no line breaks


def draw(runs: Sequence[Run]) -> Html | None:
    """The section; None if nothing was evaluated yet."""
    found = rows_of(runs)
    sequences = [part for run in runs for part in _matrices(run)]
    if not found:
        return None
    data = {row.data for _, row in found}
    return section(
        "results", "Results",
        _data_note(data),
        _table(found),
        seeds.draw(found, columns(found)),
        element("div", *_frontiers(found), class_="charts"),
        *sequences,
        lead="Share of the evaluated examples that are classified correctly: as they "
        "are (natural), and under each attack (robust).",
    )  # fmt: skip


def rows_of(runs: Sequence[Run]) -> list[tuple[Run, Row]]:
    """The rows of the table: one for each set of weights that was evaluated."""
    return [
        (run, row)
        for run in runs
        for row in rows(run.name, run.folder.result, run.folder.records.values())
    ]


def columns(found: Rows) -> dict[Column, str]:
    """The attacks, with their headings; the step size is named where it differs."""
    # AutoAttack, the strongest, comes last.
    all_columns = sorted(
        {column for _, row in found for column in row.robust()},
        key=lambda column: (
            column.attack.startswith("autoattack"),
            *column[:2],
            column.relative_step_size or 0.0,
        ),
    )
    alike = [column[:2] for column in all_columns]
    headings = {}
    for column in all_columns:
        attack = words.attack(column.attack).replace("-", HYPHEN)
        text = f"{attack} at ε\u00a0=\u00a0{column.epsilon:.3g}"
        if alike.count(column[:2]) > 1 and column.relative_step_size is not None:
            text += f", step {column.relative_step_size:.3g} ε"
        headings[column] = text
    return headings


def best_of(row: Row, column: Column) -> float | None:
    """A row's accuracy under an attack, on the most examples; None: unknown."""
    entries = row.robust().get(column)
    return entries[0][1] if entries else None


def _data_note(data: set[str]) -> Html | None:
    if len(data) < 2:
        return None
    text = (
        "These results are on different data: numbers of different data sets or parts "
        "cannot be compared."
    )
    return element("p", text, class_="note")


def _table(found: Rows) -> Html:
    attacks = columns(found)
    weights = len(found) > len({run.name for run, _ in found})
    head = ["run", "natural", *attacks.values(), "steps", "time", "data"]
    head += ["weights"] if weights else []
    body = [_cells(run, row, attacks, found, weights) for run, row in found]
    drawn = table(head, body, label="Results of the runs", class_="results")
    if len(found) < 2:
        return drawn
    return element(
        "div", drawn, element("p", "Bold: the highest on its data.", class_="hint")
    )


def _cells(
    run: Run, row: Row, attacks: dict[Column, str], found: Rows, weights: bool
) -> list[Content]:
    same = [other for _, other in found if other.data == row.data]
    natural = row.natural["natural_accuracy"]
    naturals = [other.natural["natural_accuracy"] for other in same]
    cells: list[Content] = [
        element("span", marks.sample(run.look), name(row.run), class_="run"),
        _accuracy(natural, naturals, row.natural["num_examples"], row),
    ]
    for column in attacks:
        others = [best_of(other, column) for other in same]
        entries = row.robust().get(column, [])[:2]
        shown = [
            _accuracy(accuracy, others, record["num_examples"], row)
            for record, accuracy in entries
        ]
        cells.append(shown or "–")
    cells.append("–" if row.result is None else f"{row.result['steps']:,}")
    cells.append("–" if row.result is None else numbers.duration(row.result["seconds"]))
    return [*cells, name(row.data), *([row.weights] if weights else [])]


def _accuracy(
    value: float, others: Sequence[float | None], examples: int, row: Row
) -> Html:
    known = [other for other in others if other is not None]
    is_best = len(known) > 1 and value == max(known) and min(known) < value
    part = "" if examples == row.whole else f" of {examples:,}"
    text = element("b" if is_best else "span", numbers.percent(value))
    return element("div", text, element("small", part) if part else None)


def _frontiers(found: Rows) -> Iterator[Html]:
    """Natural against robust accuracy, where two runs or more have both."""
    for column, heading in columns(found).items():
        for data in dict.fromkeys(row.data for _, row in found):
            points = [
                (run, row.natural["natural_accuracy"], robust)
                for run, row in found
                if row.data == data and (robust := best_of(row, column)) is not None
            ]
            if len({run.name for run, *_ in points}) > 1:
                yield _frontier(points, heading)


def _frontier(points: Sequence[tuple[Run, float, float]], heading: str) -> Html:
    x = _shares([natural for _, natural, _ in points])
    y = _shares([robust for *_, robust in points])
    axes = Frame(
        Axis("natural accuracy, %", *x, as_percent=True),
        Axis(heading, *y, as_percent=True),
    )
    said = [
        f"{isolated(run.name)}: natural {numbers.percent(natural)}, robust "
        f"{numbers.percent(robust)}"
        for run, natural, robust in points
    ]
    drawn = [
        marks.mark(run.look, axes.left(natural), axes.top(robust), text, size=1.5)
        for (run, natural, robust), text in zip(points, said, strict=True)
    ]
    title = f"Natural accuracy against {heading}"
    picture = frame.svg(
        [axes.drawn(), drawn], title=title, description="; ".join(said[:20])
    )
    unique = {run.name: run for run, *_ in points}
    legend = element("p", "The marks are those of the table above.", class_="hint")
    if len(unique) <= LEGEND:
        legend = marks.legend_of_runs(unique.values())
    return frame.figure(
        "Natural against robust", picture, unit=f"{heading}, %",
        below=legend,
    )  # fmt: skip


def _shares(values: Sequence[float]) -> tuple[float, float]:
    low, high = frame.around(values, room=0.15)
    return max(low, 0.0), min(high, 1.0)


def _matrices(run: Run) -> Iterator[Html]:
    """The accuracy matrices of a sequence of tasks."""
    found = (run.folder.result or {}).get(tasks.FIELD, {})
    for way, short in tasks.WAYS.items():
        matrix = found.get(way, {}).get("accuracy_matrix")
        if not matrix:
            continue
        padded = [[*row, *[None] * (len(matrix) - len(row))] for row in matrix]
        texts = [["" if v is None else numbers.percent(v) for v in r] for r in padded]
        average = numbers.percent(found[way]["average_accuracy"])
        drawn = coloured.table(
            padded,
            rows=[f"after task {i}" for i in range(1, len(matrix) + 1)],
            columns=[f"on {i}" for i in range(1, len(matrix) + 1)],
            label=f"{short}: accuracy on each task after each task",
            shown=texts,
        )  # fmt: skip
        lost = numbers.percent(found[way]["forgetting"])
        yield element(
            "div",
            element("h3", name(run.name), f": {short}"),
            element("p", f"Average accuracy {average}, forgetting {lost}."),
            drawn,
        )
