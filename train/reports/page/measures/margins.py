"""Margins: their means and histograms on both parts, and the generalisation gap."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from train.reports.page import numbers, words
from train.reports.page.charts import bars
from train.reports.page.html import Content, Html, details, element, joined, name, table
from train.reports.page.measures.found import Drawing, Found, titles
from train.reports.page.runs import Look

GROUPS = {
    "training_natural": ("training, natural", Look(0, 1, 0)),
    "test_natural": ("test, natural", Look(0, 0, 0)),
    "training_adversarial": ("training, attacked", Look(1, 1, 1)),
    "test_adversarial": ("test, attacked", Look(1, 0, 1)),
}
SHOWN = ("logit_", "distance_")  # means in the table; histograms show the others, too
TITLES = {
    "logit": "logit margin", "probability": "probability margin",
    "relative": "logit margin by norm", "distance": "distance to the boundary",
}  # fmt: skip


def draw(found: Sequence[Found]) -> Html:
    """The gaps and mean margins of the runs, then histograms and classes of each."""
    heads = titles(found)
    all_means = dict.fromkeys(key for each in found for key in each.content["means"])
    means = [key for key in all_means if key.startswith(SHOWN)]
    rows = [
        [
            title, *_gap(each.content),
            *(numbers.short(each.content["means"].get(key, "–")) for key in means),
        ]
        for title, each in zip(heads, found, strict=True)
    ]  # fmt: skip
    head = [
        "run",
        "gap, natural",
        "gap, robust",
        *(key.replace("_", " ") for key in means),
    ]
    parts: list[Content] = [table(head, rows, label="Gaps and mean margins")]
    for title, each in zip(heads, found, strict=True):
        grid = element("div", *_histograms(each), class_="charts wide")
        rest = joined(grid, _by_class(each))
        parts.append(rest if len(found) == 1 else details(title, rest))
    return joined(*parts)


def _gap(content: Mapping[str, Any]) -> list[str]:
    """Training accuracy minus test accuracy."""
    return [numbers.percent(content["gap"].get(kind)) for kind in ("natural", "robust")]


def _histograms(each: Found) -> Iterator[Html]:
    for kind, drawn in each.content["histograms"].items():
        if not drawn:
            continue
        groups = {
            text: (look, drawn[key])
            for key, (text, look) in GROUPS.items()
            if key in drawn
        }
        title = str(TITLES.get(kind, kind))
        at = each.record.get("epsilon") if kind == "distance" else 0.0
        yield bars.histogram(title.capitalize(), drawn["edges"], groups, x=title, at=at)


def _by_class(each: Found) -> Html | None:
    """Mean margins of each class, the smallest first."""
    rows = each.content["by_class"]
    kinds = [key for key in rows[0] if isinstance(rows[0][key], dict)] if rows else []
    if not kinds:
        return None
    names = words.class_names([each.run.folder])
    body = [
        [
            name(words.class_name(row["class"], names)),
            *(numbers.short(row[kind].get("mean", "–")) for kind in kinds),
        ]
        for row in rows
    ]
    head = ["class", *(f"{kind.replace('_', ' ')}, mean" for kind in kinds)]
    drawn = table(head, body, label="Mean margins of each class")
    return details("Mean margins of each class", drawn)


DRAWING = Drawing(
    "Margins",
    "How far the label's logit is above the next one, on training and on test images, "
    "and how far the decision boundary is. The gap is the accuracy on training images "
    "minus that on test images.",
    draw,
)
