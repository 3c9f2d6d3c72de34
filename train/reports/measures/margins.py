"""Margins: their distribution on both parts, by class, and in the space of images."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from train.base import terminal

COLORS = {"natural": "tab:blue", "adversarial": "tab:red"}
STYLES = {"training": "--", "test": "-"}
LONGEST = 16  # letters of a class's name


def draw(record: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Figure:
    """Logit margins, those by class, and distances to the boundary if there are any."""
    found = record["found"]
    histograms = found["histograms"]
    has_distances = bool(histograms.get("distance"))
    figure = Figure(figsize=(4.4 * (2 + has_distances), 4.2), layout="constrained")
    axes = figure.subplots(1, 2 + has_distances, squeeze=False)[0]
    _histogram(axes[0], histograms["logit"])
    axes[0].axvline(0, color="black", linewidth=0.8, linestyle=":")
    axes[0].set(xlabel="logit margin", ylabel="share of the examples, %")
    _by_class(axes[1], found["by_class"])
    if has_distances:
        _histogram(axes[2], histograms["distance"])
        if "epsilon" in record:
            axes[2].axvline(
                record["epsilon"], color="black", linewidth=0.8, linestyle=":",
                label="epsilon",
            )  # fmt: skip
        axes[2].set(xlabel=f"distance to the boundary ({found['distance_norm']})")
    for axis in (axes[0], *axes[2:]):
        axis.legend(fontsize=8)
        axis.grid(alpha=0.3)
    return figure


def _histogram(axis: Any, histogram: Mapping[str, Any]) -> None:
    """The shares of a group in each bin, as steps."""
    for name, counts in histogram.items():
        if name == "edges":
            continue
        part, _, state = name.partition("_")
        shares = 100 * np.asarray(counts) / max(sum(counts), 1)
        axis.stairs(
            shares, histogram["edges"], color=COLORS[state], linestyle=STYLES[part],
            label=f"{part}, {state}",
        )  # fmt: skip


def _by_class(axis: Any, rows: list[Mapping[str, Any]]) -> None:
    """Mean logit margins of classes, with bars from quartile to quartile."""
    places = np.arange(len(rows))[::-1]  # the first class is at the top
    for state, shift in (("natural", 0.15), ("adversarial", -0.15)):
        if f"logit_{state}" not in rows[0]:
            continue
        of_state = [row[f"logit_{state}"] for row in rows]
        low, high, mean = (
            [each[n] for each in of_state] for n in ("q25", "q75", "mean")
        )
        at, color = places + shift, COLORS[state]
        axis.hlines(at, low, high, color=color, alpha=0.5, linewidth=4)
        axis.plot(mean, at, "o", color=color, label=state, markersize=4)
    names = [_plain(str(row.get("class_name", row["class"]))) for row in rows]
    axis.set_yticks(places, names, fontsize=8)
    axis.axvline(0, color="black", linewidth=0.8, linestyle=":")
    axis.set(xlabel="logit margin by class: mean, quartiles (test)")
    axis.grid(alpha=0.3)


def _plain(name: str) -> str:
    """A name that matplotlib shows as it is, and that is short."""
    short = name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
    return terminal.shown(short).replace("$", r"\$")
