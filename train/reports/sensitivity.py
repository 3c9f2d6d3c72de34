"""A picture of a search: each varied field against each objective, all trials."""

from collections.abc import Mapping
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib import ticker

from train.base import files

COLUMNS = 4  # panels in a row, at most
STYLES = {
    "finished": {"marker": "o", "s": 22},
    "pruned": {"marker": "x", "s": 18, "alpha": 0.6},
}  # fmt: skip


def save(path: files.Path, found: Mapping[str, Any]) -> None:
    """Draws the trials of a study.

    Args:
      path: of the picture.
      found: the content of the study's `study.json`.
    """
    objectives = found["objectives"]
    panels = [(field, name) for name in objectives for field in found["space"]]
    if len(objectives) > 1:
        panels.append((objectives[0], objectives[1]))
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(3.2 * columns, 2.7 * rows), squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    for axis, (across, up) in zip(axes.flat, panels, strict=False):
        draw(axis, found, across, up)
    if len(axes.flat[0].get_legend_handles_labels()[1]) > 1:
        axes.flat[0].legend(fontsize=8)
    with files.whole(path) as file:
        figure.savefig(file, dpi=110, format="png")
    plt.close(figure)


def draw(axis: Any, found: Mapping[str, Any], across: str, up: str) -> None:
    """Draws one panel: a field or an objective against an objective.

    A pruned trial stands at its last evaluation; the best trials are ringed.
    """
    choices = _choices(found["space"].get(across, ""))
    for state, style in STYLES.items():
        trials = [each for each in found["trials"] if each["state"] == state]
        points = _points(trials, choices, across, up)
        if points:
            axis.scatter(*zip(*points, strict=True), label=state, **style)
    best = [each for each in found["trials"] if each["folder"] in found["best"]]
    ringed = _points(best, choices, across, up)
    if ringed:
        axis.scatter(*zip(*ringed, strict=True), s=90, fc="none", ec="black")
    if choices:
        axis.set_xticks(range(len(choices)), choices)
    elif found["space"].get(across, "").startswith("log:"):
        make_logarithmic(axis)
    is_objective = across in found["objectives"]
    axis.set_xlabel(f"{across} accuracy (%)" if is_objective else across)
    axis.set_ylabel(f"{up} accuracy (%)")
    axis.grid(alpha=0.3)


def make_logarithmic(axis: Any) -> None:
    """A horizontal axis in logarithms, with plain numbers on it: 1, 3, 10, 30."""
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 3), numticks=9))
    axis.xaxis.set_major_formatter(ticker.FuncFormatter(lambda x, _: f"{x:g}"))
    axis.xaxis.set_minor_formatter(ticker.NullFormatter())


def _points(
    trials: list[Mapping[str, Any]], choices: list[str], across: str, up: str
) -> list[tuple[float, float]]:
    """Where the trials stand; one that lacks a value stands nowhere."""
    found = []
    for each in trials:
        x = 100 * each[across] if across in each else each["values"].get(across)
        if x is not None and up in each:
            place = choices.index(_text(x)) if choices else x
            found.append((place, 100 * each[up]))
    return found


def _choices(values: str) -> list[str]:
    """The values of a choice as labels; empty: it is a range."""
    return values[1:-1].split(",") if values.startswith("{") else []


def _text(value: Any) -> str:
    """A value as a space writes it."""
    return repr(value).removesuffix(".0") if type(value) is float else str(value)
