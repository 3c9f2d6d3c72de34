"""Histograms of the scores of in-distribution and of other images."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

NAMES = {"in_distribution": "test images", "out_of_distribution": "other images"}


def draw(record: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Figure:
    """A panel for each score, with its numbers above."""
    scores = record["found"]["scores"]
    figure = Figure(figsize=(9.6, 6.4), layout="constrained")
    axes = figure.subplots(2, -(-len(scores) // 2), squeeze=False)
    for axis, (name, numbers) in zip(axes.flat, scores.items(), strict=False):
        edges = numbers["histogram"]["edges"]
        for field, label in NAMES.items():
            counts = np.asarray(numbers["histogram"][field], float)
            axis.stairs(counts / counts.sum(), edges, fill=True, alpha=0.5, label=label)
        axis.set_title(
            f"{name.replace('_', ' ')}\n"
            f"area under ROC {100 * numbers['area_under_roc']:.1f} %, false positives "
            f"at 95 % {100 * numbers['false_positive_rate_at_95']:.1f} %",
            fontsize=9,
        )
        axis.set_ylabel("share")
        axis.legend(fontsize=8)
    return figure
