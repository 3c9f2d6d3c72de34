"""Features: a map of natural and adversarial images, and distances between classes."""

from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from train.base import terminal

NAMED = 20  # classes at most, of which a legend has the names
LONGEST = 16  # letters of a class's name
MARKERS = {"natural": "o", "adversarial": "x"}


def draw(record: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Figure:
    """The map, unless none was made, beside distances within and between classes."""
    has_map = "map_natural" in arrays
    figure = Figure(figsize=(11.0 if has_map else 4.6, 5.2), layout="constrained")
    axes = figure.subplots(
        1, 1 + has_map, squeeze=False, width_ratios=(1.6, 1)[-1 - has_map :]
    )[0]
    if has_map:
        _map(axes[0], record["found"], arrays)
    _distances(axes[-1], record["found"])
    return figure


def _map(axis: Any, found: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    labels = arrays["map_label"]
    classes = np.unique(labels)
    colormap = matplotlib.colormaps["tab10" if len(classes) <= 10 else "tab20"]
    color_of = np.array([colormap(i % colormap.N) for i in range(len(classes))])
    colors = color_of[np.searchsorted(classes, labels)]
    handles = []
    for state, marker in MARKERS.items():
        if (name := f"map_{state}") not in arrays:
            continue
        axis.scatter(
            *arrays[name].T, c=colors, marker=marker, s=12, linewidths=0.7, alpha=0.7
        )
        handles.append(
            Line2D([], [], color="gray", marker=marker, linestyle="", label=state)
        )
    if len(classes) <= NAMED:
        names = {row["class"]: row.get("class_name", row["class"])
                 for row in found["by_class"]}  # fmt: skip
        handles += [
            Line2D([], [], color=color, marker="s", linestyle="",
                   label=_plain(str(names.get(int(label), label))))
            for label, color in zip(classes, color_of, strict=True)
        ]  # fmt: skip
    axis.legend(
        handles=handles, fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0)
    )
    axis.set(xticks=[], yticks=[])
    axis.set_title(f"t-SNE of the features of {len(labels)} images", fontsize=10)


def _distances(axis: Any, found: Mapping[str, Any]) -> None:
    """The mean distances, as bars with their numbers."""
    bars = []
    for state in MARKERS:
        if state in found:
            of_state = found[state]
            bars.append((f"within classes,\n{state}", of_state["within"], state))
            bars.append((f"between classes,\n{state}", of_state["between"], state))
    if "moved" in found:
        bars.append(("moved by\nthe attack", found["moved"]["mean"], "adversarial"))
    names, values, states = zip(*reversed(bars), strict=True)
    colors = ["tab:blue" if state == "natural" else "tab:red" for state in states]
    drawn = axis.barh(
        names, [value or 0.0 for value in values], color=colors, alpha=0.7
    )
    labels = ["not defined" if value is None else f"{value:.3g}" for value in values]
    axis.bar_label(drawn, labels, padding=3, fontsize=8)
    axis.margins(x=0.18)
    axis.set_xlabel("mean distance of features")


def _plain(name: str) -> str:
    """A name that matplotlib shows as it is, and that is short."""
    short = name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
    return terminal.shown(short).replace("$", r"\$")
