"""Any JSON content as tables that can be read: what no chart is made for."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from train.reports.page import numbers
from train.reports.page.charts import cells
from train.reports.page.html import Content, Html, details, element, joined, name, table
from train.reports.page.measures.found import Found, titles

SHORT, ROWS, DEEP = 12, 20, 4  # numbers in a line; rows of a table; levels


def draw(found: Sequence[Found]) -> Html:
    """The numbers of all records side by side, then the rest of each."""
    names = titles(found)
    flat = [dict(_scalars(each.content)) for each in found]
    fields = list(dict.fromkeys(field for each in flat for field in each))
    parts: list[Content] = []
    if fields:
        rows = [
            [title, *(numbers.short(each[f]) if f in each else "–" for f in fields)]
            for title, each in zip(names, flat, strict=True)
        ]
        parts.append(table(["run", *map(words, fields)], rows, label="What was found"))
    for title, each in zip(names, found, strict=True):
        rest = [
            element("div", element("h4", words(field)), content(value))
            for field, value in each.content.items()
            if not _is_scalar(value) and not _is_scalars(value)
        ]
        if rest:
            parts.append(details(title, *rest, open_=len(found) == 1))
    return joined(*parts) or element("p", "It has found nothing.")


def words(field: str) -> Html:
    """A field's name in words."""
    return name(field.replace("_", " "))


def _scalars(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Numbers and texts of an object, and of objects of numbers in it."""
    for field, value in content.items():
        if _is_scalar(value):
            yield prefix + field, value
        elif not prefix and _is_scalars(value):
            yield from _scalars(value, f"{field}: ")


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | bool)


def _is_scalars(value: Any) -> bool:
    """Whether it is a small object of numbers and texts."""
    small = isinstance(value, dict) and 0 < len(value) <= SHORT
    return small and all(_is_scalar(each) for each in value.values())


def content(value: Any, level: int = 0) -> Html:
    """Any JSON value."""
    if _is_scalar(value):
        return name(numbers.short(value))
    if level >= DEEP:
        return name(f"{str(value)[:200]}…")
    if isinstance(value, dict):
        return _object(value, level)
    return _list(value, level)


def _object(value: Mapping[str, Any], level: int) -> Html:
    rows = [[words(key), content(each, level + 1)] for key, each in value.items()]
    drawn = table(["field", "value"], rows[:ROWS], label="Fields", class_="fields")
    return joined(drawn, _more(len(rows)))


def _list(values: Sequence[Any], level: int) -> Html:
    if not values:
        return element("p", "empty")
    if all(isinstance(each, dict) for each in values):
        return _records(values, level)
    if all(isinstance(each, list) for each in values) and _is_matrix(values):
        return _matrix(values)
    if all(_is_scalar(each) for each in values):
        return _numbers(values)
    return element("ul", (element("li", content(v, level + 1)) for v in values[:ROWS]))


def _records(values: Sequence[Mapping[str, Any]], level: int) -> Html:
    """A list of objects: a row for each."""
    fields = list(dict.fromkeys(field for each in values for field in each))
    rows = [
        [content(each.get(field), level + 1) for field in fields]
        for each in values[:ROWS]
    ]
    drawn = table([words(field) for field in fields], rows, label="Entries")
    return joined(drawn, _more(len(values)))


def _is_matrix(values: Sequence[Sequence[Any]]) -> bool:
    size = len(values[0])
    small = len(values) <= cells.MOST and 0 < size <= cells.MOST
    return small and all(
        len(row) == size and all(_is_scalar(value) for value in row) for row in values
    )


def _matrix(values: Sequence[Sequence[Any]]) -> Html:
    finite = [value for row in values for value in row if numbers.is_number(value)]
    return cells.table(
        values,
        rows=[str(i) for i in range(len(values))],
        columns=[str(i) for i in range(len(values[0]))],
        label="Matrix",
        low=min(finite, default=0.0),
        high=max(finite, default=1.0),
        shown=[[numbers.short(value) for value in row] for row in values],
    )


def _numbers(values: Sequence[Any]) -> Html:
    """A list in a line; of a long one, how many there are and between what."""
    if len(values) <= SHORT:
        return name(", ".join(numbers.short(value) for value in values))
    finite = [value for value in values if numbers.is_number(value)]
    first = ", ".join(numbers.short(value) for value in values[:3])
    text = f"{len(values):,} values: {first}, …"
    if finite:
        text += f", from {numbers.short(min(finite))} to {numbers.short(max(finite))}"
    return name(text)


def _more(count: int) -> Html | None:
    if count <= ROWS:
        return None
    return element("p", f"The first {ROWS} of {count:,}.", class_="hint")
