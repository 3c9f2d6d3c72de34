"""Accuracy by class, and the class means as heat maps."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

NAMED = 20  # classes at most, where their names fit beside a heat map


def draw(record: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Figure:
    """The class means as they are and after the attack, below accuracy by class."""
    maps = {"class means": arrays["class_means"]}
    if "class_means_adversarial" in arrays:
        attack = record["found"]["attack_name"]
        maps[f"class means after {attack}"] = arrays["class_means_adversarial"]
    figure = Figure(figsize=(5.2 * len(maps), 7.6), layout="constrained")
    parts: Any = figure.subfigures(2, 1, height_ratios=(1, 1.6))
    above, below = parts
    _accuracies(above.subplots(), record["found"]["by_class"])
    axes = below.subplots(1, len(maps), squeeze=False)[0]
    image = None
    for axis, (title, means) in zip(axes, maps.items(), strict=True):
        image = axis.imshow(means, vmin=0, vmax=1, cmap="viridis")
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("predicted")
        _name(axis, arrays, len(means))
    axes[0].set_ylabel("class")
    below.colorbar(image, ax=list(axes), label="mean probability", shrink=0.8)
    return figure


def _accuracies(axis: Any, by_class: list[Mapping[str, Any]]) -> None:
    names = [str(each.get("class_name", each["class"])) for each in by_class]
    places = np.arange(len(by_class))
    for name, color in (
        ("natural_accuracy", "tab:blue"),
        ("robust_accuracy", "tab:red"),
    ):
        if by_class and name in by_class[0]:
            label = name.replace("_", " ")
            values = [100 * each[name] for each in by_class]
            axis.bar(places, values, 0.8, color=color, label=label, alpha=0.7)
    axis.set(ylabel="%", ylim=(0, 100))
    if len(names) <= NAMED:
        axis.set_xticks(
            places, [_plain(name) for name in names], rotation=30, ha="right"
        )
    axis.legend(fontsize=8)


def _name(axis: Any, arrays: Mapping[str, np.ndarray], count: int) -> None:
    """Class names, or numbers, beside a heat map of few classes."""
    if count > NAMED:
        return
    names = arrays.get("class_names", np.arange(count))
    shown = [_plain(str(name)) for name in names]
    axis.set_xticks(np.arange(count), shown, rotation=90, fontsize=7)
    axis.set_yticks(np.arange(count), shown, fontsize=7)


def _plain(name: str) -> str:
    """A name that matplotlib takes for text, not for mathematics, and that is short."""
    short = name if len(name) <= 16 else f"{name[:15]}…"
    return short.replace("$", r"\$")
