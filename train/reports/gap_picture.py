"""A picture of mean margins against generalisation gaps, a point for each run."""

from collections.abc import Sequence
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from train.base import files, terminal
from train.reports.generalisation import DISTANCE, KINDS, STATES, Point, Relation

MARKERS = "osD^vPX*<>"  # of settings, beside their colours
UNITS = {
    "logit": "logit margin", "relative": "margin / deviation of logits",
    "probability": "probability margin", DISTANCE: "distance to the boundary",
}  # fmt: skip


def save(
    path: files.Path, points: Sequence[Point], relations: Sequence[Relation], part: str
) -> None:
    """Draws a row for each gap and a column for each kind of margin.

    Args:
      path: of the picture.
      points: the runs.
      relations: of margins and gaps of these runs, not empty.
      part: whose margins they are: "training" or "test".
    """
    gaps = [gap for gap in STATES if any(each.gap == gap for each in relations)]
    kinds = [kind for kind in KINDS if any(each.kind == kind for each in relations)]
    size = (3.1 * len(kinds) + 0.4, 2.9 * len(gaps) + 0.7)
    figure, axes = plt.subplots(
        len(gaps), len(kinds), figsize=size, squeeze=False, sharey="row",
        layout="constrained",
    )  # fmt: skip
    for relation in relations:
        axis = axes[gaps.index(relation.gap), kinds.index(relation.kind)]
        _draw(axis, points, relation, part)
    for row, gap in zip(axes, gaps, strict=True):
        row[0].set_ylabel(f"{gap} gap, points")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    columns = max(1, 2 * len(kinds))
    figure.legend(
        handles, labels, loc="outside lower center", ncols=columns, fontsize=8
    )
    with files.whole(path) as file:
        figure.savefig(file, dpi=120, format="png")
    plt.close(figure)


def _draw(axis: Any, points: Sequence[Point], relation: Relation, part: str) -> None:
    settings = list(dict.fromkeys(point.setting for point in points))
    for number, setting in enumerate(settings):
        rows = [i for i, point in enumerate(points) if point.setting == setting]
        axis.scatter(
            [relation.margins[i] for i in rows], [100 * relation.gaps[i] for i in rows],
            color=f"C{number % 10}", marker=MARKERS[number % len(MARKERS)], s=28,
            label=_plain(f"{setting} ({len(rows)})"),
        )  # fmt: skip
    found = relation.correlation
    said = "not defined" if found.coefficient is None else (
        f"Spearman {found.coefficient:+.2f}, p = {found.p:.2g}"
    )  # fmt: skip
    axis.set_title(said, fontsize=9)
    state = "" if relation.kind == DISTANCE else f", {STATES[relation.gap]}"
    axis.set_xlabel(f"mean {UNITS[relation.kind]}\n({part} part{state})", fontsize=8)
    axis.grid(alpha=0.3)
    axis.margins(0.15)


def _plain(text: str) -> str:
    """Text that matplotlib shows as it is: no formula, nothing unprintable."""
    return terminal.shown(text).replace("$", r"\$").lstrip("_")
