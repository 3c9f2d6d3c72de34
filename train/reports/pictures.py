"""Pictures: images, what an attack adds to them, what the model says; autoattack."""

import pathlib
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from ikl_jax.attacks.ensemble.autoattack import Result
from train.evaluation.pgd import PgdAttack
from train.evaluation.predictions import AttackedImages

COUNT = 8  # images in a row


def save(path: pathlib.Path, examples: AttackedImages, threat: PgdAttack) -> None:
    """Rows: natural, perturbation (grey is zero), adversarial; titles: predictions.

    A prediction is green where it is the label, red where not. Images that were not
    attacked are one row.
    """
    rows = 1 if examples.x_adv is None else 3
    figure = plt.figure(figsize=_size(len(examples.labels), rows))
    _grid(figure, examples, threat.norm, threat.epsilon, threat.name)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def save_robustness(
    path: pathlib.Path,
    distances: np.ndarray,
    result: Result,
    fell: AttackedImages | None,
) -> None:
    """Robust accuracy up to twice epsilon, above the examples that fell within it.

    Args:
      path: of the picture.
      distances: `[N]`, of each example to the nearest misclassified input.
      result: of AutoAttack.
      fell: examples that it broke; None: there are none.
    """
    width, height = _size(COUNT, 3 if fell else 0)
    figure = plt.figure(figsize=(width, height + 3.2), layout="constrained")
    parts: Any = figure.subfigures(2, 1, height_ratios=(3.2, max(height, 0.1)))
    above, below = parts
    axis = above.subplots()
    epsilons = np.linspace(0.0, 2 * result.epsilon, 201)
    accuracies = [100 * np.mean(distances > epsilon) for epsilon in epsilons]
    axis.plot(epsilons, accuracies, label="nearest found by FAB and AutoAttack")
    robust = 100 * result.robust_accuracy
    axis.plot(
        result.epsilon, robust, "o", color="tab:red",
        label=f"AutoAttack ({result.version}): {robust:.1f} %",
    )  # fmt: skip
    axis.axvline(result.epsilon, color="tab:red", linewidth=0.8, linestyle=":")
    axis.set(
        xlabel=f"epsilon ({result.norm})", ylabel="robust accuracy, %",
        xlim=(0, 2 * result.epsilon), ylim=(0, 100),
    )  # fmt: skip
    axis.grid(alpha=0.3)
    axis.legend()
    if fell:
        _grid(below, fell, result.norm, result.epsilon, "AutoAttack")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _size(columns: int, rows: int) -> tuple[float, float]:
    return 1.25 * columns + 0.6, 1.45 * rows + 0.25 * bool(rows)


def _grid(
    figure: Any, examples: AttackedImages, norm: str, epsilon: float, attack: str
) -> None:
    """The examples' images, a row a kind."""
    rows: list[tuple[Any, ...]] = [(examples.x, examples.natural, "natural")]
    if examples.x_adv is not None:
        scale = 2 * epsilon or 1.0
        perturbations = (examples.x_adv - examples.x) / scale + 0.5
        size = f"perturbation\n{norm} ≤ {epsilon:.3g}"
        rows.append((perturbations, None, size))
        rows.append((examples.x_adv, examples.adversarial, f"after {attack}"))
    axes = figure.subplots(len(rows), len(examples.labels), squeeze=False)
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
