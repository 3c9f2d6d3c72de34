"""The reliability diagram, before and after the temperature."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure


def draw(record: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Figure:
    """Accuracy against confidence in bins of equal width, above the bins' examples."""
    found = record["found"]
    panels = {"as it is": found}
    if found["after_temperature"] is not None:
        title = f"at temperature {found['temperature']:.3g}"
        panels[title] = found["after_temperature"]
    figure = Figure(figsize=(4.4 * len(panels), 5.2), layout="constrained")
    rows = figure.subplots(
        2, len(panels), squeeze=False, sharex=True, height_ratios=(3, 1)
    )
    for (title, numbers), above, below in zip(panels.items(), *rows, strict=True):
        _panel(above, below, numbers)
        error = numbers["expected_calibration_error"]["equal_width"]["value"]
        above.set_title(f"{title}: error {100 * error:.2f} %", fontsize=10)
    rows[0, 0].set_ylabel("accuracy")
    rows[1, 0].set_ylabel("examples")
    return figure


def _panel(above: Any, below: Any, numbers: Mapping[str, Any]) -> None:
    bins = numbers["reliability"]["equal_width"]
    places = (np.arange(len(bins)) + 0.5) / len(bins)
    width = 0.92 / len(bins)
    below.bar(places, [each["count"] for each in bins], width, color="tab:gray")
    below.set(xlabel="confidence", xlim=(0, 1))
    there = [each for each in bins if each["count"]]
    above.plot([0, 1], [0, 1], color="black", linewidth=0.8, linestyle=":")
    above.bar(
        [place for place, each in zip(places, bins, strict=True) if each["count"]],
        [each["accuracy"] for each in there], width, alpha=0.5,
    )  # fmt: skip
    above.plot(
        [each["confidence"] for each in there],
        [each["accuracy"] for each in there],
        ".-", color="tab:red",
    )  # fmt: skip
    above.set(ylim=(0, 1))
    above.grid(alpha=0.3)
