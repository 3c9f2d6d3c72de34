"""The margins of a training part beside those of a test part: fields of a record."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from train.evaluation.measures.margins import margin, summary
from train.networks.classes import PADDING_LOGIT

Fields = dict[str, Any]

# The kinds of margin that follow from logits.
KINDS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "logit": margin.logit_margins,
    "probability": margin.probability_margins,
    "relative": margin.relative_margins,
}
DISTANCE = "distance"  # the margin in the space of images
MOST_CLASSES = 20  # in a record: those of the smallest mean margins


class Part(NamedTuple):
    """What a network says of the examples of one part of the data.

    Attributes:
      labels: `[N]`.
      natural: `[N, C]`, the logits of the examples as they are.
      adversarial: `[N, C]`, the logits after the attack; None: no attack was made.
      distances: `[M]`, how far the boundary is from some of the examples, infinity
        where that was not found; empty: not searched for.
      distance_labels: `[M]`, the labels of these examples.
    """

    labels: np.ndarray
    natural: np.ndarray
    adversarial: np.ndarray | None = None
    distances: np.ndarray = np.zeros(0)
    distance_labels: np.ndarray = np.zeros(0, np.int64)

    @property
    def accuracies(self) -> Fields:
        """How many examples there are, and their natural and robust accuracy."""
        right = self.natural.argmax(axis=1) == self.labels
        found = {"examples": len(right), "natural_accuracy": float(right.mean())}
        if self.adversarial is not None:
            robust = right & (self.adversarial.argmax(axis=1) == self.labels)
            found["robust_accuracy"] = float(robust.mean())
        return found

    def margins(self, kind: str) -> dict[str, np.ndarray]:
        """`natural` and, if there was an attack, `adversarial`: `[N]` each."""
        if kind == DISTANCE:
            return {"natural": self.distances} if len(self.distances) else {}
        found = {"natural": KINDS[kind](*seen_classes(self.natural, self.labels))}
        if self.adversarial is not None:
            attacked = seen_classes(self.adversarial, self.labels)
            found["adversarial"] = KINDS[kind](*attacked)
        return found


def seen_classes(
    logits: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Logits without the classes that a network has not seen, and labels to match.

    In a sequence of tasks these have the logit of padding, far below all others.

    Args:
      logits: `[N, C]`.
      labels: `[N]`.
    """
    seen = np.asarray((logits > PADDING_LOGIT).any(axis=0))
    seen[labels] = True
    return logits[:, seen], (np.cumsum(seen) - 1)[labels]


def compared(training: Part, test: Part, names: Sequence[str] | None = None) -> Fields:
    """Accuracies of both parts, the gap between them, and their margins.

    Args:
      training: the training part, without augmentation.
      test: the part that is evaluated on.
      names: of the classes, or None.

    Returns:
      - `training` and `test`: their accuracies;
      - `gap`: the accuracy on the training part minus that on the test part;
      - `means`: of all margins, such as `logit_training_natural`;
      - `margins`: mean, median and quantiles of the same, as rows;
      - `by_class`: a row for each class of the test part, that of the smallest mean
        logit margin first;
      - `histograms`: of each kind of margin.
    """
    parts = {"training": training, "test": test}
    accuracies = {name: part.accuracies for name, part in parts.items()}
    values = {
        (kind, name, state): margins
        for kind in (*KINDS, DISTANCE)
        for name, part in parts.items()
        for state, margins in part.margins(kind).items()
    }
    rows = [
        {"margin": kind, "part": name, "images": state, **summary.described(margins)}
        for (kind, name, state), margins in values.items()
    ]
    return {
        **accuracies,
        "gap": {
            name.removesuffix("_accuracy"): accuracies["training"][name] - value
            for name, value in accuracies["test"].items()
            if name != "examples"
        },
        "means": {
            "_".join((row["margin"], row["part"], row["images"])): row["mean"]
            for row in rows
            if "mean" in row
        },
        "margins": rows,
        "by_class": _by_class(test, names),
        "histograms": {
            kind: summary.histograms(**_groups(values, kind))
            for kind in dict.fromkeys(kind for kind, *_ in values)
        },
    }


def _groups(
    values: Mapping[tuple[str, str, str], np.ndarray], kind: str
) -> dict[str, np.ndarray]:
    """The margins of one kind by part and state, such as `training_natural`."""
    return {
        f"{name}_{state}": margins
        for (other, name, state), margins in values.items()
        if other == kind
    }


def _by_class(part: Part, names: Sequence[str] | None) -> list[Fields]:
    """The logit margins and distances of each class, of the first classes if many."""
    labels = {"logit": part.labels, DISTANCE: part.distance_labels}
    rows = []
    for label in np.unique(part.labels):
        row: Fields = {"class": int(label)}
        if names is not None:
            row["class_name"] = names[label]
        for kind, of_kind in labels.items():
            for state, values in part.margins(kind).items():
                found = summary.described(values[of_kind == label])
                row[f"{kind}_{state}"] = found
        rows.append(row)
    rows.sort(key=lambda row: row["logit_natural"].get("mean", np.inf))
    return rows[:MOST_CLASSES]
