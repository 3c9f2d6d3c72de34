"""Histograms as steps: the shares of several groups in the same bins."""

from collections.abc import Mapping, Sequence

from train.reports.page import numbers
from train.reports.page.charts import frame, marks
from train.reports.page.charts.frame import Axis, Frame
from train.reports.page.html import Content, Html, element
from train.reports.page.runs import Look

Groups = Mapping[str, tuple[Look, Sequence[float]]]


def histogram(
    title: Content,
    edges: Sequence[float],
    groups: Groups,
    *,
    x: str,
    at: float | None = None,
) -> Html:
    """A figure with the share of each group's examples in each bin.

    Args:
      title: of the figure.
      edges: the bounds of the bins, one more than there are bins.
      groups: for each name its look and its counts.
      x: what the edges are.
      at: where a dotted line stands; None: nowhere.
    """
    shares = {
        text: [count / (sum(counts) or 1) for count in counts]
        for text, (_, counts) in groups.items()
    }
    highest = max((share for each in shares.values() for share in each), default=1.0)
    top = numbers.outward(0.0, 100 * highest)[1] / 100
    axes = Frame(Axis(x, edges[0], edges[-1]), Axis("", 0.0, top, as_percent=True))
    drawn = [
        element(
            "path", class_=f"line {groups[text][0].class_}", d=_steps(edges, each, axes)
        )
        for text, each in shares.items()
    ]
    guide = None
    if at is not None and edges[0] < at < edges[-1]:
        place = axes.left(at)
        d = f"M{place:.1f} {axes.top(top):.1f}V{axes.top(0.0):.1f}"
        guide = element("path", class_="guide", d=d)
    said = "; ".join(
        f"{text}: most between {_mode(edges, each)}" for text, each in shares.items()
    )
    picture = frame.svg(
        [axes.drawn(), guide, drawn], title=f"Histogram of {x}", description=said
    )
    entries = [(look, text) for text, (look, _) in groups.items()]
    legend = marks.legend(entries, marks.plain_sample)
    return frame.figure(title, picture, unit="examples, %", below=legend)


def _steps(edges: Sequence[float], shares: Sequence[float], axes: Frame) -> str:
    """The outline of the bins, from the axis and back to it."""
    path = f"M{axes.left(edges[0]):.1f} {axes.top(0.0):.1f}"
    for share, end in zip(shares, edges[1:], strict=True):
        path += f"V{axes.top(share):.1f}H{axes.left(end):.1f}"
    return f"{path}V{axes.top(0.0):.1f}"


def _mode(edges: Sequence[float], shares: Sequence[float]) -> str:
    """The bounds of the bin with the largest share."""
    place = max(range(len(shares)), key=lambda i: shares[i])
    return f"{edges[place]:.3g} and {edges[place + 1]:.3g}"
