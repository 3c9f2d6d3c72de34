"""Line charts: curves of several runs, with gaps where a value is not finite."""

import dataclasses
from collections.abc import Iterator, Sequence

from train.reports.page import numbers
from train.reports.page.charts import frame, marks
from train.reports.page.charts.frame import Axis, Frame
from train.reports.page.html import Html, element, joined
from train.reports.page.runs import Look

POINTS = 120  # of a line, at most
MARKS = 5  # on a line, so that lines are told apart without colour

Point = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Line:
    """A curve.

    Attributes:
      name: of what it shows.
      points: x and y, in the order of x. A y that is not finite is a gap.
      look: of the line.
    """

    name: str
    points: Sequence[Point]
    look: Look

    def finite(self) -> list[Point]:
        return [point for point in self.points if numbers.is_number(point[1])]


def frame_of(
    lines: Sequence[Line], x: str, y: str, *, as_percent: bool = False
) -> Frame:
    """Axes that hold all lines: x from 0 to its largest value."""
    xs = [point[0] for line in lines for point in line.points]
    ys = [point[1] for line in lines for point in line.finite()]
    low, high = frame.around(ys)
    if as_percent:
        low, high = max(low, 0.0), min(high, 1.0)
    elif ys and min(ys) >= 0 and low < 0.35 * high:
        low, high = numbers.outward(0.0, high)
    return Frame(
        Axis(x, min(0.0, *xs), max(xs, default=1.0)) if xs else Axis(x, 0.0, 1.0),
        Axis(y, low, high, as_percent),
    )


def drawn(lines: Sequence[Line], axes: Frame, *, marked: bool = True) -> Html:
    """The axes and the lines on them."""
    return joined(axes.drawn(), (_line(line, axes, marked) for line in lines))


def _line(line: Line, axes: Frame, marked: bool) -> Html:
    points = thinned(line.points)
    path = "".join(_pieces(points, axes))
    places = [point for point in points if numbers.is_number(point[1])]
    spread = max(1, len(places) // MARKS)
    # Lines of different shapes have their marks at different places.
    shown = places[line.look.shape % spread :: spread] if marked else []
    return element(
        "g",
        element("title", line.name),
        element("path", class_=f"line {line.look.class_}", d=path) if path else None,
        (marks.mark(line.look, axes.left(x), axes.top(y)) for x, y in shown),
    )


def _pieces(points: Sequence[Point], axes: Frame) -> Iterator[str]:
    """The commands of a path, which begins anew after each gap."""
    command = "M"
    for i, (x, y) in enumerate(points):
        if not numbers.is_number(y):
            command = "M"
            continue
        yield f"{command}{axes.left(x):.1f} {axes.top(y):.1f}"
        alone = i + 1 == len(points) or not numbers.is_number(points[i + 1][1])
        if command == "M" and alone:
            yield "h0"  # a dot, by its round ends
        command = "L"


def thinned(points: Sequence[Point], most: int = POINTS) -> list[Point]:
    """At most so many points: means of neighbours, where there are more.

    A mean in which a value is not finite is a gap.

    >>> thinned([(0, 1.0), (1, 3.0), (2, 5.0), (3, 5.0)], 2)
    [(0.5, 2.0), (2.5, 5.0)]
    """
    count = -(-len(points) // most)
    if count <= 1:
        return list(points)
    groups = [points[i : i + count] for i in range(0, len(points), count)]
    mean = lambda values: sum(values) / len(values)
    return [(mean([x for x, _ in part]), mean([y for _, y in part])) for part in groups]
