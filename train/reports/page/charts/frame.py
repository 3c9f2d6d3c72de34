"""The frame of a chart: its axes, its grid, its title and what stands below it."""

import dataclasses
from collections.abc import Sequence

from train.reports.page import numbers
from train.reports.page.html import Content, Html, details, element, joined

WIDTH, HEIGHT = 380, 236  # of the view box: about a pixel on a phone
LEFT, RIGHT, TOP, BOTTOM = 42, 12, 10, 38


@dataclasses.dataclass(frozen=True)
class Axis:
    """An axis.

    Attributes:
      label: what it counts.
      low, high: its ends.
      as_percent: whether its numbers are shares, shown in percent.
    """

    label: str
    low: float
    high: float
    as_percent: bool = False

    def at(self, value: float) -> float:
        """Where a value is, from 0 at the low end to 1 at the high end."""
        return (value - self.low) / ((self.high - self.low) or 1.0)

    def ticks(self) -> list[tuple[float, str]]:
        """Round values and their texts."""
        factor = 100 if self.as_percent else 1
        values = numbers.ticks(self.low * factor, self.high * factor)
        return [(value / factor, numbers.tick_label(value)) for value in values]


@dataclasses.dataclass(frozen=True)
class Frame:
    """The two axes of a chart."""

    x: Axis
    y: Axis

    def left(self, value: float) -> float:
        """The horizontal coordinate of a value."""
        return LEFT + self.x.at(value) * (WIDTH - LEFT - RIGHT)

    def top(self, value: float) -> float:
        """The vertical coordinate of a value."""
        return HEIGHT - BOTTOM - self.y.at(value) * (HEIGHT - TOP - BOTTOM)

    def drawn(self) -> Html:
        """Grid, ticks and labels of the axes."""
        bottom = HEIGHT - BOTTOM
        parts: list[Html] = []
        for value, text in self.y.ticks():
            y = f"{self.top(value):.1f}"
            parts.append(
                element("path", class_="grid", d=f"M{LEFT} {y}H{WIDTH - RIGHT}")
            )
            parts.append(_text(text, LEFT - 6, float(y) + 3.5, "end"))
        for value, text in self.x.ticks():
            x = self.left(value)
            parts.append(element("path", class_="tick", d=f"M{x:.1f} {bottom}v4"))
            parts.append(_text(text, x, bottom + 16, "middle"))
        base = element("path", class_="axis", d=f"M{LEFT} {bottom}H{WIDTH - RIGHT}")
        middle = (LEFT + WIDTH - RIGHT) / 2
        label = _text(self.x.label, middle, HEIGHT - 5, "middle")
        return joined(parts, base, label)


def _text(text: str, x: float, y: float, anchor: str) -> Html:
    return element("text", text, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor)


def around(values: Sequence[float], *, room: float = 0.05) -> tuple[float, float]:
    """Round ends of an axis that holds all values, with some room at both.

    >>> around([0.12, 0.83])
    (0.0, 1.0)
    """
    finite = [value for value in values if numbers.is_number(value)]
    if not finite:
        return 0.0, 1.0
    low, high = min(finite), max(finite)
    room *= (high - low) or abs(high) or 1.0
    return numbers.outward(low - room, high + room)


def svg(content: Content, *, title: str, description: str, class_: str = "") -> Html:
    """A chart as a picture with a text alternative."""
    return element(
        "svg",
        element("title", title),
        element("desc", description),
        content,
        class_=f"plot {class_}".strip(),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=f"{title}. {description}",
    )


def figure(
    title: Content,
    picture: Content,
    *,
    unit: str = "",
    below: Content = None,
    numbers_below: Content = None,
    class_: str = "chart",
) -> Html:
    """A figure: a title with the unit of its vertical axis, the picture, its numbers.

    Args:
      title: of the figure.
      picture: of `svg`, or several.
      unit: what the vertical axis counts.
      below: remarks.
      numbers_below: a table with the numbers of the picture, closed at first.
    """
    heading = element(
        "figcaption", element("b", title), element("span", unit) if unit else None
    )
    table = None if numbers_below is None else details("Numbers", numbers_below)
    return element("figure", heading, picture, below, table, class_=class_)
