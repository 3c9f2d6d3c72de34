"""Per class: accuracies, where classes fall to, confusions, class means."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from train.reports.page import numbers, words
from train.reports.page.charts import cells
from train.reports.page.html import Content, Html, details, element, joined, name, table
from train.reports.page.measures.found import Drawing, Found, titles

KINDS = {"natural_accuracy": "natural", "robust_accuracy": "robust"}
# Tables of the per-example file, with what they show and whether they are counts.
MAPS = {
    "confusion": ("Confusion", "of each class (row), the share of each prediction"),
    "confusion_adversarial": (
        "Confusion after the attack",
        "of each class (row), the share of each prediction after the attack",
    ),
    "class_means": ("Class means", "the mean predicted probabilities of each class"),
    "class_means_adversarial": (
        "Class means after the attack",
        "the mean predicted probabilities of each class after the attack",
    ),
}


def draw(found: Sequence[Found]) -> Html:
    """A table of accuracies for all runs, then the tables of each run."""
    names = _names(found)
    one = _falls(found[0], names) if len(found) == 1 else None
    first = element("div", _accuracies(found, names), one, class_="charts wide")
    parts: list[Content] = [first]
    for title, each in zip(titles(found), found, strict=True):
        maps = element("div", *_maps(each, names), class_="charts wide")
        if len(found) == 1:
            parts.append(maps)
        else:
            rest = joined(_falls(each, names), maps)
            parts.append(details(joined("Class by class: ", title), rest))
    return joined(*parts)


def _names(found: Sequence[Found]) -> dict[int, str]:
    return words.class_names(each.run.folder for each in found)


def _accuracies(found: Sequence[Found], names: Mapping[int, str]) -> Html:
    """A row for each class; columns of natural and robust accuracy for each run."""
    by_class = [
        {row["class"]: row for row in each.content["by_class"]} for each in found
    ]
    labels = sorted({label for rows in by_class for label in rows})
    columns = [
        (rows, kind, title)
        for rows, title in zip(by_class, titles(found), strict=True)
        for kind in KINDS
        if any(kind in row for row in rows.values())
    ]
    values = [
        [rows.get(label, {}).get(kind) for rows, kind, _ in columns] for label in labels
    ]
    heads = [
        KINDS[kind] if len(found) == 1 else joined(title, f", {KINDS[kind]}")
        for _, kind, title in columns
    ]
    return cells.table(
        values, rows=[name(words.class_name(label, names)) for label in labels],
        columns=heads, label="Accuracy of each class", corner="class",
        shown=[[numbers.percent(value) for value in row] for row in values],
    )  # fmt: skip


def _falls(each: Found, names: Mapping[int, str]) -> Html | None:
    rows = [
        [
            name(words.class_name(row["class"], names)),
            name(words.class_name(row["falls_to"], names)),
            f"{row['falls_to_examples']} of {row['fallen']}",
        ]
        for row in each.content["by_class"]
        if "falls_to" in row
    ]
    if not rows:
        return None
    head = ("class", "falls most often to", "examples of all that fall")
    return table(head, rows, label="Which class falls to which", numbers_from=2)


def _maps(each: Found, names: Mapping[int, str]) -> Iterator[Html]:
    for key, array in each.arrays(*MAPS).items():
        if array.ndim != 2:
            continue
        title, said = MAPS[key]
        values = array.astype(float)
        if key.startswith("confusion"):
            values = values / values.sum(axis=1, keepdims=True).clip(1)
        drawn = _map(values.tolist(), title, said, names)
        yield element("figure", element("figcaption", element("b", title)), drawn)


def _map(
    values: list[list[Any]], title: str, said: str, names: Mapping[int, str]
) -> Html:
    if len(values) > cells.MOST:
        return cells.picture(values, title=title, description=said)
    shown = [
        [f"{100 * v:.0f}" if numbers.is_number(v) else "–" for v in row]
        for row in values
    ]
    heads = [name(names.get(label, label)) for label in range(len(values))]
    return joined(
        element("p", f"In percent: {said}.", class_="hint"),
        cells.table(
            values, rows=heads, columns=heads, label=f"{title}: {said}", shown=shown,
            class_="heat square",
        ),
    )  # fmt: skip


DRAWING = Drawing(
    "Classes",
    "Which classes are weak, and which one an attack makes of them.",
    draw,
)
