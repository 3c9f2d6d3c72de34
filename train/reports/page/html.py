"""Builds HTML in which every text is escaped.

A text that a run or a data set has chosen may hold anything: tags, quotes, letters that
are written from right to left, a hundred characters without a space.
"""

import html
from collections.abc import Iterable, Sequence
from typing import Any

from train.base import terminal

VOID = frozenset({"br", "img", "meta", "wbr"})  # elements that have no end tag
FIRST_STRONG_ISOLATE, POP_ISOLATE = "\u2068", "\u2069"


class Html(str):
    """A piece of HTML: it is not escaped again."""

    __slots__ = ()


Content = Any  # Html, text or numbers, None for nothing, or an iterable of these


def escaped(text: object) -> Html:
    """The text as HTML, in an attribute too; control characters are spelled out.

    >>> escaped('<b title="x">')
    '&lt;b title=&quot;x&quot;&gt;'
    """
    return Html(html.escape(terminal.shown(text)))


def joined(*content: Content) -> Html:
    """Pieces one after another; what is not `Html` is escaped."""
    return Html("".join(_pieces(content)))


def _pieces(content: Iterable[Content]) -> Iterable[str]:
    for piece in content:
        if isinstance(piece, Html):
            yield piece
        elif isinstance(piece, str):
            yield escaped(piece)
        elif isinstance(piece, Iterable):
            yield from _pieces(piece)
        elif piece is not None:
            yield escaped(piece)


def element(tag: str, *content: Content, **attributes: Any) -> Html:
    """An element.

    Args:
      tag: its name.
      content: what is in it.
      attributes: a `_` at the end is dropped, others become `-`. None and False leave
        an attribute out; True writes it without a value.

    >>> element("p", "1 < 2", class_="note", hidden=False)
    '<p class="note">1 &lt; 2</p>'
    """
    written = "".join(
        f" {name.rstrip('_').replace('_', '-')}"
        + ("" if value is True else f'="{escaped(value)}"')
        for name, value in attributes.items()
        if value is not None and value is not False
    )
    if tag in VOID:
        return Html(f"<{tag}{written}>")
    return Html(f"<{tag}{written}>{joined(*content)}</{tag}>")


def name(text: object) -> Html:
    """A name of a run, file or class, apart from the direction of the text around it.

    >>> name("<script>")
    '<bdi dir="auto">&lt;script&gt;</bdi>'
    """
    return element("bdi", str(text), dir="auto")


def isolated(text: object, limit: int = 120) -> str:
    """A name in an attribute, where no element can hold it; shortened to `limit`."""
    whole = terminal.shown(text)
    shown = whole if len(whole) <= limit else f"{whole[: limit - 1]}…"
    return f"{FIRST_STRONG_ISOLATE}{shown}{POP_ISOLATE}"


def table(
    head: Sequence[Content],
    rows: Iterable[Sequence[Content]],
    *,
    label: str,
    numbers_from: int = 1,
    class_: str | None = None,
) -> Html:
    """A table whose rows begin with a heading; it scrolls by itself if it is wide.

    Args:
      head: the headings of the columns.
      rows: cells.
      label: what the table holds, for screen readers.
      numbers_from: the first column that is aligned to the right.
      class_: of the table.
    """
    side = lambda place: "number" if place >= numbers_from else None
    headings = [
        element("th", cell, scope="col", class_=side(place))
        for place, cell in enumerate(head)
    ]
    body = [
        element(
            "tr",
            element("th", row[0], scope="row"),
            (element("td", cell, class_=side(i)) for i, cell in enumerate(row[1:], 1)),
        )
        for row in rows
    ]
    drawn = element(
        "table", element("thead", element("tr", headings)), element("tbody", body),
        class_=class_,
    )  # fmt: skip
    return scrolling(drawn, label)


def scrolling(content: Content, label: str) -> Html:
    """A part that scrolls sideways where it is wider than the page."""
    return element(
        "div", content, class_="scroll", role="region", aria_label=label, tabindex="0"
    )


def details(summary: Content, *content: Content, open_: bool = False) -> Html:
    """A part that opens without a script."""
    return element("details", element("summary", summary), *content, open=open_)


def section(anchor: str, title: str, *content: Content, lead: Content = None) -> Html:
    """A section of the page, with its heading and a sentence on what it shows."""
    return element(
        "section",
        element("h2", title, id=anchor),
        None if lead is None else element("p", lead, class_="lead"),
        *content,
        aria_labelledby=anchor,
    )


def plain_list(items: Iterable[Content], class_: str | None = None) -> Html:
    return element("ul", (element("li", item) for item in items), class_=class_)
