"""A picture of natural against robust accuracy: a point for each group of runs."""

import json
from collections.abc import Sequence
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from train.base import files
from train.base.errors import UserError
from train.reports import groups
from train.reports.comparison import Comparison
from train.reports.measured import Metric

FORMATS = ("png", "pdf", "svg")
WIDTH, HEIGHT = 5.0, 4.0  # inches of a panel


def save(path: files.Path, made: Comparison) -> None:
    """Draws a panel for each attack.

    A group is its mean with bars of one standard deviation, and a small point for each
    run. Groups that differ in one number alone, such as the strength of a loss, are
    joined by a line.

    Raises:
      UserError: no run was attacked, or the file's name ends in another format.
    """
    form = path.suffix.removeprefix(".")
    if form not in FORMATS:
        raise UserError(f"--plot must end in .{', .'.join(FORMATS)}, got {path}")
    natural = next(each for each in made.headings if each.name == "natural")
    attacks = [each for each in made.headings if each.epsilon > 0]
    if not attacks:
        raise UserError("--plot needs runs with robust accuracy, and none has any")
    size = (WIDTH * len(attacks), HEIGHT)
    figure, panels = plt.subplots(
        1, len(attacks), figsize=size, squeeze=False, layout="constrained"
    )
    for axes, attack in zip(panels[0], attacks, strict=True):
        _panel(axes, made, natural, attack)
        axes.set_xlabel("natural accuracy, %")
        axes.set_ylabel(f"{made.headings[attack]}, %")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    with files.whole(path) as file:
        figure.savefig(file, dpi=130, format=form)
    plt.close(figure)


def lines(made: Comparison) -> list[tuple[str, list[int], list[str]]]:
    """Groups to be joined: the name of the line, the groups, and what each is marked.

    The number that varies along a line is the one of most values; the fields that
    others of the groups differ in are the line's name.
    """
    fields = made.labels.fields
    along = max(fields, key=lambda field: len(_numbers(made, field)), default=None)
    if along is None or len(_numbers(made, along)) < 2:
        return [(made.name(i), [i], [""]) for i in range(len(made.groups))]
    rest = [field for field in fields if field != along]
    found: dict[str, list[int]] = {}
    for number, each in enumerate(made.groups):
        name = ", ".join(groups.description(each, rest)) or along
        found.setdefault(name, []).append(number)
    value = lambda number: made.groups[number].settings[along]
    result = []
    for name, members in found.items():
        ordered = sorted(members, key=value)
        result.append((name, ordered, [groups.shown(value(i)) for i in ordered]))
    return result


def _numbers(made: Comparison, field: str) -> set[float]:
    """The values of a field, if all of them are numbers."""
    values = [each.settings.get(field) for each in made.groups]
    if any(isinstance(v, bool) or not isinstance(v, int | float) for v in values):
        return set()
    return set(map(float, map(json.dumps, values)))


def _panel(axes: Any, made: Comparison, natural: Metric, attack: Metric) -> None:
    for place, (name, members, marks) in enumerate(lines(made)):
        means, color = [], f"C{place % 10}"
        for number, mark in zip(members, marks, strict=True):
            points = _points(made, number, natural, attack)
            if not len(points):
                continue
            axes.scatter(*points.T, s=12, color=color, alpha=0.4, linewidths=0)
            mean = points.mean(axis=0)
            bars = points.std(axis=0, ddof=1) if len(points) > 1 else np.zeros(2)
            axes.errorbar(*mean, xerr=bars[0], yerr=bars[1], color=color, capsize=2)
            axes.annotate(mark, mean, fontsize=7, color=color,
                          textcoords="offset points", xytext=(4, 4))  # fmt: skip
            means.append(mean)
        if means:
            axes.plot(*np.array(means).T, "-o", color=color, label=name, markersize=5)


def _points(
    made: Comparison, number: int, natural: Metric, attack: Metric
) -> np.ndarray:
    """Natural and robust accuracy in percent of each run with both, [runs, 2]."""
    first, second = (made.values[number].get(each, {}) for each in (natural, attack))
    seeds: Sequence = [seed for seed in first if seed in second]
    return 100 * np.array([(first[s], second[s]) for s in seeds]).reshape(-1, 2)
