"""A table whose cells are coloured by their values: accuracies, confusions, means."""

from collections.abc import Sequence

from train.reports.page import numbers
from train.reports.page.html import Content, Html, element, scrolling

LEVELS = 10  # of the colours in style.css
MOST = 20  # rows or columns of a table


def level(value: object, low: float, high: float) -> int:
    """The colour of a value: 0 at `low`, `LEVELS` at `high`.

    >>> level(0.5, 0.0, 1.0), level(None, 0.0, 1.0), level(7, 0.0, 1.0)
    (5, 0, 10)
    """
    if not numbers.is_number(value) or not high > low:
        return 0
    share = (value - low) / (high - low)  # type: ignore[operator]
    return round(LEVELS * min(max(share, 0.0), 1.0))


def table(
    values: Sequence[Sequence[object]],
    *,
    rows: Sequence[Content],
    columns: Sequence[Content],
    label: str,
    low: float = 0.0,
    high: float = 1.0,
    shown: Sequence[Sequence[str]],
    corner: Content = "",
    class_: str = "heat",
) -> Html:
    """A table with a text and a colour in each cell.

    Args:
      values: that the colours show, by rows.
      rows: headings of the rows.
      columns: headings of the columns.
      label: what the table holds, for screen readers.
      low, high: the values of the lightest and the strongest colour.
      shown: the texts of the cells, by rows.
      corner: what stands above the headings of the rows.
      class_: of the table; "heat square" has narrow columns with upright headings.
    """
    head = [element("th", corner, scope="col")]
    head += [element("th", name, scope="col") for name in columns]
    body = [
        element(
            "tr",
            element("th", name, scope="row"),
            (
                element("td", text, class_=f"h{level(value, low, high)}")
                for value, text in zip(row, texts, strict=True)
            ),
        )
        for name, row, texts in zip(rows, values, shown, strict=True)
    ]
    parts = element("thead", element("tr", head)), element("tbody", body)
    return scrolling(element("table", *parts, class_=class_), label)


def picture(
    values: Sequence[Sequence[object]],
    *,
    title: str,
    description: str,
    low: float = 0.0,
    high: float = 1.0,
) -> Html:
    """The same without texts, for more classes than a table has room for."""
    size = max(len(values), max(map(len, values), default=1))
    squares: dict[int, list[str]] = {}
    for y, row in enumerate(values):
        for x, value in enumerate(row):
            if strength := level(value, low, high):
                squares.setdefault(strength, []).append(f"M{x} {y}h1v1h-1z")
    return element(
        "svg",
        element("title", title),
        (
            element("path", class_=f"h{strength}", d="".join(places))
            for strength, places in sorted(squares.items())
        ),
        class_="heatmap", viewBox=f"0 0 {size} {size}", role="img",
        aria_label=f"{title}. {description}",
    )  # fmt: skip
