"""Pictures: images, what an attack adds to them, what the model says; autoattack."""

from collections.abc import Mapping
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from train.base import files
from train.evaluation.batch_attack import PgdAttack
from train.evaluation.predictions import AttackedImages
from train.reports.measures import PICTURES

COUNT = 8  # images in a row, at most


def save(path: files.Path, images: AttackedImages, attack: PgdAttack) -> None:
    """Draws rows: natural, perturbation (grey is zero), adversarial.

    Titles are predictions, green where they are the label and red where not. Images
    that were not attacked are one row.
    """
    rows = 1 if images.x_adv is None else 3
    figure = plt.figure(figsize=_size(len(images.labels), rows))
    _grid(figure, images, attack.norm, attack.epsilon, attack.name)
    figure.tight_layout()
    _write(figure, path)


def save_of_record(
    path: files.Path,
    record: Mapping[str, Any],
    per_example: Mapping[str, np.ndarray],
) -> str | None:
    """Draws the picture of an evaluation, if it has one.

    Args:
      path: of the picture.
      record: of the evaluation.
      per_example: the arrays of its per-example file.

    Returns:
      What the picture is of, "autoattack" or a measure; None: there is none.
    """
    measure = record.get("measure")
    if measure in PICTURES:
        _write(PICTURES[measure](record, per_example), path)
        return measure
    if "distance" in per_example and record.get("attack") == "autoattack":
        save_robustness(path, record, per_example)
        return "autoattack"
    return None


def save_robustness(
    path: files.Path,
    record: Mapping[str, Any],
    per_example: Mapping[str, np.ndarray],
) -> None:
    """Draws robust accuracy up to twice epsilon, above images that the attack broke.

    Args:
      path: of the picture.
      record: of an evaluation by AutoAttack.
      per_example: its per-example file, with distances, and images if any broke.
    """
    images = _broken_images(per_example)
    width, height = _size(COUNT, 3 if images else 0)
    figure = plt.figure(figsize=(width, height + 3.2), layout="constrained")
    parts: Any = figure.subfigures(2, 1, height_ratios=(3.2, max(height, 0.1)))
    above, below = parts
    _curve(above.subplots(), record, per_example["distance"])
    if images:
        _grid(below, images, record["norm"], record["epsilon"], "AutoAttack")
    _write(figure, path)


def _write(figure: Any, path: files.Path) -> None:
    with files.whole(path) as file:
        figure.savefig(file, dpi=120, format="png")
    plt.close(figure)


def _curve(axis: Any, record: Mapping[str, Any], distances: np.ndarray) -> None:
    epsilon, norm = record["epsilon"], record["norm"]
    ((_, robust),) = record["robust_accuracy"].items()
    epsilons = np.linspace(0.0, 2 * epsilon, 201)
    accuracies = [100 * np.mean(distances > radius) for radius in epsilons]
    axis.plot(epsilons, accuracies, label="nearest found by FAB and AutoAttack")
    axis.plot(
        epsilon, 100 * robust, "o", color="tab:red",
        label=f"AutoAttack ({record['version']}): {100 * robust:.1f} %",
    )  # fmt: skip
    axis.axvline(epsilon, color="tab:red", linewidth=0.8, linestyle=":")
    axis.set(
        xlabel=f"epsilon ({norm})", ylabel="robust accuracy, %",
        xlim=(0, 2 * epsilon), ylim=(0, 100),
    )  # fmt: skip
    axis.grid(alpha=0.3)
    axis.legend()


def _broken_images(per_example: Mapping[str, np.ndarray]) -> AttackedImages | None:
    if "image" not in per_example:
        return None
    return AttackedImages(
        per_example["image"],
        per_example["label"][per_example["image_index"]],
        per_example["image_predicted"],
        per_example["image_adversarial"],
        per_example["image_predicted_adversarial"],
    )


def _size(columns: int, rows: int) -> tuple[float, float]:
    return 1.25 * columns + 0.6, 1.45 * rows + 0.25 * bool(rows)


def _grid(
    figure: Any, images: AttackedImages, norm: str, epsilon: float, attack: str
) -> None:
    """Draws the images, a row for each kind of them."""
    rows: list[tuple[Any, ...]] = [(images.x, images.natural, "natural")]
    if images.x_adv is not None:
        scale = 2 * epsilon or 1.0
        perturbations = (images.x_adv - images.x) / scale + 0.5
        size = f"perturbation\n{norm} ≤ {epsilon:.3g}"
        rows.append((perturbations, None, size))
        rows.append((images.x_adv, images.adversarial, f"after {attack}"))
    axes = figure.subplots(len(rows), len(images.labels), squeeze=False)
    for row, (pictures, predictions, name) in zip(axes, rows, strict=True):
        for i, axis in enumerate(row):
            image = pictures[i] if pictures.shape[-1] == 3 else pictures[i, ..., 0]
            axis.imshow(np.clip(image, 0, 1), cmap="gray", vmin=0, vmax=1)
            axis.set(xticks=[], yticks=[])
            if predictions is not None:
                right = predictions[i] == images.labels[i]
                color = "tab:green" if right else "tab:red"
                axis.set_title(f"says {predictions[i]}", color=color, fontsize=9)
        row[0].set_ylabel(name, fontsize=9)
