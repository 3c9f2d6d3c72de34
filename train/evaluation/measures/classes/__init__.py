"""Per class: accuracy, confusion and class means, before and after PGD."""

from typing import Any

import numpy as np

from train.data.splits import DataSet
from train.evaluation.judgement import Judgement
from train.evaluation.measures.classes import tables
from train.evaluation.measures.context import Context
from train.evaluation.measures.measure import ATTACK, Finding, Measure, Prepared
from train.evaluation.outputs import Outputs
from train.evaluation.summaries import by_class

LISTED = 100  # classes in a record, at most; the per-example file has all

Arrays = dict[str, np.ndarray]


def arrays(natural: Outputs, adversarial: Outputs | None) -> Arrays:
    """The tables of all C classes, and what the attack made of each example.

    Args:
      natural: the outputs for N examples as they are.
      adversarial: those after the attack; None: no attack was made.
    """
    found = _tables(natural, "")
    if adversarial is None:
        return found
    correct = natural.predicted == natural.labels
    return {
        **found,
        **_tables(adversarial, "_adversarial"),
        "adversarial_predicted": adversarial.predicted,
        "adversarial_logits": adversarial.logits,
        "robust": correct & (adversarial.predicted == natural.labels),
    }


def _tables(outputs: Outputs, suffix: str) -> Arrays:
    labels, num_classes = outputs.labels, outputs.logits.shape[1]
    return {
        f"confusion{suffix}": by_class.confusion(
            labels, outputs.predicted, num_classes
        ),
        f"class_means{suffix}": tables.class_means(outputs.logits, labels),
    }


def found(natural: Outputs, tables_of: Arrays, data: DataSet) -> dict[str, Any]:
    """What a record says of the classes, the worst ones where there are too many.

    Args:
      natural: the outputs for the examples as they are.
      tables_of: the result of `arrays`.
      data: whose classes these are.
    """
    labels, num_classes = natural.labels, data.num_classes
    counts = np.bincount(labels, minlength=num_classes)
    columns = {
        "natural_accuracy": by_class.accuracies(labels, natural.predicted, num_classes)
    }
    fallen = None
    if (robust := tables_of.get("robust")) is not None:
        right = np.bincount(labels[robust], minlength=num_classes)
        columns["robust_accuracy"] = right / np.maximum(counts, 1)
        fallen = tables.falls(
            labels, natural.predicted, tables_of["adversarial_predicted"], num_classes
        )
    listed = _listed(list(columns.values())[-1], counts)
    return {
        "classes": num_classes,
        "classes_with_examples": int((counts > 0).sum()),
        **({} if robust is None else {"robust_accuracy": float(robust.mean())}),
        "by_class": [
            {
                **by_class.named("class", label, data),
                "examples": int(counts[label]),
                **{name: float(column[label]) for name, column in columns.items()},
                **({} if fallen is None else _fall(fallen, label, data)),
            }
            for label in listed
        ],
    }


def _listed(accuracy: np.ndarray, counts: np.ndarray) -> list[int]:
    """The classes with examples, in order; only the worst where there are too many."""
    there = np.flatnonzero(counts)
    worst = there[np.argsort(accuracy[there], kind="stable")][:LISTED]
    return [int(label) for label in np.sort(worst)]


def _fall(fallen: tables.Falls, label: int, data: DataSet) -> dict[str, Any]:
    """How many examples of a class fall, and to which class most of them do."""
    to = int(fallen.to[label])
    if to < 0:
        return {"fallen": 0}
    return {
        "fallen": int(fallen.total[label]),
        **by_class.named("falls_to", to, data),
        "falls_to_examples": int(fallen.examples[label]),
    }


def _prepare(context: Context) -> Prepared:
    attack = context.attack  # checks it

    def find(_: Judgement) -> Finding:
        natural, data = context.outputs, context.target.data
        made = arrays(natural, context.adversarial)
        names = {} if data.class_names is None else {"class_names": data.class_names}
        attacked = {"attack_name": attack.name} if attack.restarts else {}
        return Finding(
            {**attacked, **found(natural, made, data)},
            {**made, **{name: np.array(value) for name, value in names.items()}},
        )

    return Prepared(context.attack_arguments, find)


CLASSES = Measure("classes", _prepare, common=ATTACK)
