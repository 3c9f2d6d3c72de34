"""Marks of points, and the samples of lines and marks in a legend."""

from collections.abc import Callable, Iterable

from train.reports.page.html import Content, Html, element, name, plain_list
from train.reports.page.runs import SHAPES, Look, Run

# Around (0, 0), about three pixels in each direction.
PATHS = (
    "M-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0z",  # circle
    "M-2.7-2.7h5.4v5.4h-5.4z",  # square
    "M0-3.6L3.4 2.4h-6.8z",  # triangle
    "M0-3.8L3.8 0L0 3.8L-3.8 0z",  # diamond
    "M-3.4-2.4h6.8L0 3.6z",  # triangle that points down
    "M-1.1-3.4h2.2v2.3h2.3v2.2h-2.3v2.3h-2.2v-2.3h-2.3v-2.2h2.3z",  # plus
    "M0-3.6L3.5-1L2.1 3.1h-4.2L-3.5-1z",  # pentagon
)
assert len(PATHS) == SHAPES


def mark(look: Look, x: float, y: float, title: str = "", *, size: float = 1.0) -> Html:
    """A mark at a point of a chart, with a text that appears over it."""
    scale = "" if size == 1 else f" scale({size:g})"
    return element(
        "path",
        element("title", title) if title else None,
        class_=f"mark {look.class_}",
        d=PATHS[look.shape],
        transform=f"translate({x:.1f} {y:.1f}){scale}",
    )


def sample(look: Look) -> Html:
    """A piece of a run's line with its mark. The name beside it says which run."""
    return element(
        "svg",
        element("path", class_=f"line {look.class_}", d="M1 6H27"),
        mark(look, 14, 6),
        class_="sample", viewBox="0 0 28 12", aria_hidden="true", focusable="false",
    )  # fmt: skip


def plain_sample(look: Look) -> Html:
    """A piece of a line that has no marks."""
    return element(
        "svg",
        element("path", class_=f"line {look.class_}", d="M1 6H27"),
        class_="sample", viewBox="0 0 28 12", aria_hidden="true", focusable="false",
    )  # fmt: skip


def legend(
    entries: Iterable[tuple[Look, Content]], sample: Callable[[Look], Html] = sample
) -> Html:
    """The lines of a chart, each with what it shows."""
    items = [(sample(look), element("span", text)) for look, text in entries]
    return plain_list(items, "legend")


def legend_of_runs(runs: Iterable[Run]) -> Html:
    return legend((run.look, name(run.name)) for run in runs)
