"""A picture of a run: images, what an attack adds to them, what the model says."""

import pathlib
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from train.evaluation import Examples, Threat


def save(path: pathlib.Path, examples: Examples, threat: Threat) -> None:
    """Rows: natural, perturbation (grey is zero), adversarial; titles: predictions.

    A prediction is green where it is the label, red where not. Examples that were not
    attacked are one row.
    """
    rows: list[tuple[Any, ...]] = [(examples.x, examples.natural, "natural")]
    if examples.x_adv is not None:
        scale = 2 * threat.epsilon or 1.0
        perturbations = (examples.x_adv - examples.x) / scale + 0.5
        size = f"perturbation\n{threat.norm} ≤ {threat.epsilon:.3g}"
        rows.append((perturbations, None, size))
        rows.append((examples.x_adv, examples.adversarial, f"after {threat.name}"))
    count = len(examples.labels)
    figure, axes = plt.subplots(
        len(rows),
        count,
        figsize=(1.25 * count + 0.6, 1.45 * len(rows) + 0.25),
        squeeze=False,
    )
    for row, (images, predictions, name) in zip(axes, rows, strict=True):
        for i, axis in enumerate(row):
            image = images[i] if images.shape[-1] == 3 else images[i, ..., 0]
            axis.imshow(np.clip(image, 0, 1), cmap="gray", vmin=0, vmax=1)
            axis.set(xticks=[], yticks=[])
            if predictions is not None:
                right = predictions[i] == examples.labels[i]
                color = "tab:green" if right else "tab:red"
                axis.set_title(f"says {predictions[i]}", color=color, fontsize=9)
        row[0].set_ylabel(name, fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
