"""The margins of a training part beside those of a test part."""

import json

import numpy as np
import pytest

from train.evaluation.measures.margins import margin, parts
from train.networks.classes import PADDING_LOGIT


def part(seed, count, *, attacked=True, distances=0):
    """Logits that prefer the label; after the attack, most do less."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, count)
    natural = rng.standard_normal((count, 4)) + 2 * np.eye(4)[labels]
    adversarial = natural - 1.5 * np.eye(4)[labels]
    wrong = np.flatnonzero(natural.argmax(axis=1) != labels)[:5]
    adversarial[wrong] = np.eye(4)[labels[wrong]]  # which does not make them robust
    far = rng.random(distances)
    return parts.Part(
        labels, natural, adversarial if attacked else None, far, labels[:distances]
    )


def accuracy(logits, labels):
    return sum(
        int(np.argmax(r)) == label for r, label in zip(logits, labels, strict=True)
    ) / len(labels)


def test_accuracies_and_their_gap():
    training, test = part(0, 60), part(1, 50)
    found = parts.compared(training, test)
    for name, of_part in (("training", training), ("test", test)):
        natural = accuracy(of_part.natural, of_part.labels)
        robust = np.mean([
            min(np.argmax(a) == label, np.argmax(b) == label)
            for a, b, label in zip(of_part.natural, of_part.adversarial, of_part.labels, strict=True)
        ])  # fmt: skip
        assert found[name] == {
            "examples": len(of_part.labels), "natural_accuracy": pytest.approx(natural),
            "robust_accuracy": pytest.approx(robust),
        }  # fmt: skip
        assert robust < natural
    for state in ("natural", "robust"):
        gap = (
            found["training"][f"{state}_accuracy"] - found["test"][f"{state}_accuracy"]
        )
        assert found["gap"][state] == pytest.approx(gap)
    json.dumps(found, allow_nan=False)


def test_margins_of_both_parts():
    training, test = part(0, 60), part(1, 50, distances=12)
    found = parts.compared(training, test)
    rows = {(r["margin"], r["part"], r["images"]): r for r in found["margins"]}
    assert len(rows) == 3 * 4 + 1
    expected = margin.logit_margins(test.adversarial, test.labels)
    row = rows["logit", "test", "adversarial"]
    assert row["mean"] == pytest.approx(expected.mean())
    assert row["q25"] == pytest.approx(np.quantile(expected, 0.25))
    expected = margin.relative_margins(training.natural, training.labels)
    assert found["means"]["relative_training_natural"] == pytest.approx(expected.mean())
    assert rows["distance", "test", "natural"]["examples"] == 12
    assert len(found["means"]) == len(rows)
    counts = found["histograms"]["relative"]
    assert sum(counts["training_adversarial"]) == 60
    assert sum(counts["test_natural"]) == 50
    assert set(found["histograms"]["distance"]) == {"edges", "test_natural"}


def test_the_test_parts_classes_by_their_margin():
    test = part(1, 50, distances=12)
    rows = parts.compared(part(0, 60), test, ["a", "b", "c", "d"])["by_class"]
    natural = margin.logit_margins(test.natural, test.labels)
    means = [natural[test.labels == row["class"]].mean() for row in rows]
    assert len(means) == 4
    assert means == sorted(means)
    for row, mean in zip(rows, means, strict=True):
        assert row["class_name"] == "abcd"[row["class"]]
        assert row["logit_natural"]["mean"] == pytest.approx(mean)
        assert row["logit_adversarial"]["mean"] < mean
    assert sum(row["distance_natural"]["examples"] for row in rows) == 12


def test_without_an_attack_nothing_is_said_of_one():
    found = parts.compared(part(0, 20, attacked=False), part(1, 20, attacked=False))
    assert set(found["gap"]) == {"natural"}
    assert "adversarial" not in json.dumps(found)


def test_a_record_names_the_twenty_classes_of_the_smallest_margins():
    labels = np.arange(30)
    both = parts.Part(labels, np.eye(30) * np.arange(1, 31))
    rows = parts.compared(both, both)["by_class"]
    assert [row["class"] for row in rows] == list(range(20))


def test_classes_that_were_not_seen_do_not_count():
    """Their logits of padding would be most of the deviation of an example's logits."""
    plain = part(0, 30)
    wider = plain._replace(
        labels=plain.labels + (plain.labels >= 2),
        natural=np.insert(plain.natural, 2, PADDING_LOGIT, axis=1),
        adversarial=np.insert(plain.adversarial, 2, PADDING_LOGIT, axis=1),
    )
    for kind in parts.KINDS:
        for state, values in wider.margins(kind).items():
            np.testing.assert_allclose(values, plain.margins(kind)[state])
