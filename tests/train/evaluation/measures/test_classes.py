"""Tables by class against loops, and what of them a record holds."""

import numpy as np

from train.data.splits import DataSet, InMemory
from train.evaluation.measures import classes
from train.evaluation.measures.classes import tables
from train.evaluation.outputs import Outputs

RNG = np.random.default_rng(0)


def outputs(labels, predicted, num_classes):
    """Outputs with these predictions."""
    logits = RNG.normal(size=(len(labels), num_classes))
    logits[np.arange(len(labels)), predicted] = 9.0
    return Outputs(np.arange(len(labels)), np.asarray(labels), logits)


def data(num_classes, names=None):
    none = InMemory(np.zeros((1, 2, 2, 1), np.uint8), np.zeros(1, np.int32))
    return DataSet(none, none, num_classes, (2, 2, 1), names)


def test_class_means_are_mean_probabilities():
    logits, labels = RNG.normal(size=(30, 4)), np.repeat([0, 1, 3], 10)
    found = tables.class_means(logits, labels)
    for label in (0, 1, 3):
        rows = np.exp(logits[labels == label])
        expected = (rows / rows.sum(axis=1, keepdims=True)).mean(axis=0)
        np.testing.assert_allclose(found[label], expected)
    assert np.isnan(found[2]).all()


def test_falls_count_what_only_the_attack_makes_wrong():
    labels = np.array([0, 0, 0, 0, 0, 1, 1])
    natural = np.array([0, 0, 0, 0, 2, 1, 1])
    adversarial = np.array([1, 2, 2, 0, 1, 1, 1])
    found = tables.falls(labels, natural, adversarial, 3)
    np.testing.assert_array_equal(found.to, [2, -1, -1])
    np.testing.assert_array_equal(found.examples, [2, 0, 0])
    np.testing.assert_array_equal(found.total, [3, 0, 0])


def test_what_is_found_of_three_classes():
    labels = np.array([0, 0, 0, 1, 1])
    natural = outputs(labels, [0, 0, 1, 1, 1], 3)
    # The third example is wrong as it is, and stays so whatever the attack makes of it.
    attacked = outputs(labels, [0, 2, 0, 1, 1], 3)
    named = data(3, ("T-shirt", "<b>", "bag"))
    made = classes.arrays(natural, attacked)
    found = classes.found(natural, made, named)
    assert (found["classes"], found["classes_with_examples"]) == (3, 2)
    assert found["robust_accuracy"] == 3 / 5
    first, second = found["by_class"]
    assert first == {
        "class": 0, "class_name": "T-shirt", "examples": 3, "natural_accuracy": 2 / 3,
        "robust_accuracy": 1 / 3, "fallen": 1, "falls_to": 2, "falls_to_name": "bag",
        "falls_to_examples": 1,
    }  # fmt: skip
    assert (second["robust_accuracy"], second["fallen"]) == (1.0, 0)
    assert "falls_to" not in second
    np.testing.assert_array_equal(made["confusion"], [[2, 1, 0], [0, 2, 0], [0, 0, 0]])
    np.testing.assert_array_equal(
        made["confusion_adversarial"], [[2, 0, 1], [0, 2, 0], [0, 0, 0]]
    )
    np.testing.assert_array_equal(made["robust"], [True, False, False, True, True])


def test_without_an_attack_nothing_is_said_of_one():
    natural = outputs(np.array([0, 1]), [0, 0], 2)
    made = classes.arrays(natural, None)
    assert set(made) == {"confusion", "class_means"}
    found = classes.found(natural, made, data(2))
    assert "robust_accuracy" not in found
    assert found["by_class"] == [
        {"class": 0, "examples": 1, "natural_accuracy": 1.0},
        {"class": 1, "examples": 1, "natural_accuracy": 0.0},
    ]


def test_a_record_lists_the_worst_of_many_classes():
    labels = np.repeat(np.arange(150), 2)
    predicted = labels.copy()
    predicted[::2][-120:] = 0  # one of two is wrong in the last 120 classes
    natural = outputs(labels, predicted, 150)
    made = classes.arrays(natural, None)
    assert made["confusion"].shape == (150, 150)
    listed = classes.found(natural, made, data(150))["by_class"]
    assert [each["class"] for each in listed] == list(range(30, 130))
    assert {each["natural_accuracy"] for each in listed} == {0.5}
