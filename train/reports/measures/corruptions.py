"""Accuracy by corruption and severity, beside one image under each corruption."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

COLUMNS = 4  # of images


def draw(record: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Figure:
    """A heat map of accuracies, and the first image at the highest severity."""
    names = [str(name) for name in arrays["corruptions"]]
    rows = max(math.ceil((len(names) + 1) / COLUMNS), 2)
    height = max(0.34 * len(names) + 1.6, 1.45 * rows + 0.5)
    figure = Figure(figsize=(11.0, height), layout="constrained")
    parts: Any = figure.subfigures(1, 2, width_ratios=(1, 1.15))
    _accuracies(parts[0].subplots(), record, names, arrays["severities"])
    _images(parts[1], names, rows, arrays)
    return figure


def _accuracies(
    axis: Any, record: Mapping[str, Any], names: list[str], severities: np.ndarray
) -> None:
    found, natural = record["found"], 100 * record["natural_accuracy"]
    percent = 100 * np.array([found["accuracy"][name] for name in names])
    axis.imshow(percent, vmin=0, vmax=100, cmap="viridis", aspect="auto")
    for (row, column), value in np.ndenumerate(percent):
        color = "white" if value < 60 else "black"
        axis.text(
            column, row, f"{value:.0f}", color=color, ha="center", va="center",
            fontsize=8,
        )  # fmt: skip
    axis.set_xticks(np.arange(len(severities)), [str(s) for s in severities])
    axis.set_yticks(np.arange(len(names)), [_spaced(name) for name in names])
    axis.tick_params(labelsize=8)
    axis.set_xlabel("severity")
    mean = 100 * found["mean_accuracy"]
    mce = "" if found["mce"] is None else f", mCE {100 * found['mce']:.1f}"
    title = f"accuracy, %: natural {natural:.1f}, mean {mean:.1f}{mce}"
    axis.set_title(title, fontsize=10)


def _images(
    part: Any, names: list[str], rows: int, arrays: Mapping[str, np.ndarray]
) -> None:
    pictures = [arrays["example"], *arrays["example_corrupted"]]
    titles = ["as it is", *map(_spaced, names)]
    axes = part.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for axis, image, title in zip(axes, pictures, titles, strict=False):
        shown = image if image.shape[-1] == 3 else image[..., 0]
        axis.imshow(shown, cmap="gray", vmin=0, vmax=255)
        axis.set_title(title, fontsize=7)
    severity = arrays["severities"][-1]
    part.suptitle(f"the first example at severity {severity}", fontsize=10)


def _spaced(name: str) -> str:
    return name.replace("_", " ")
