"""Margins against loops in Python's own numbers, and what must not change them."""

import math
import statistics

import numpy as np
import pytest

from train.evaluation.measures.margins import margin

ALL = (margin.logit_margins, margin.probability_margins, margin.relative_margins)


def example(count=40, classes=5):
    rng = np.random.default_rng(0)
    logits = (4 * rng.standard_normal((count, classes))).astype(np.float32)
    return logits, rng.integers(0, classes, count)


def largest_other(row, label):
    return max(value for other, value in enumerate(row) if other != label)


def by_hand(name, row, label):
    row = [float(value) for value in row]
    if name == "probability_margins":
        total = sum(math.exp(value) for value in row)
        row = [math.exp(value) / total for value in row]
    found = row[label] - largest_other(row, label)
    return found / statistics.pstdev(row) if name == "relative_margins" else found


@pytest.mark.parametrize("function", ALL)
def test_against_a_loop(function):
    logits, labels = example()
    expected = [
        by_hand(function.__name__, row, label)
        for row, label in zip(logits, labels, strict=True)
    ]
    found = function(logits, labels)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("function", ALL)
def test_negative_exactly_where_the_label_is_not_predicted(function):
    logits, labels = example()
    right = logits.argmax(axis=1) == labels
    assert 0 < right.sum() < len(right)
    np.testing.assert_array_equal(function(logits, labels) > 0, right)


@pytest.mark.parametrize("function", ALL)
def test_a_constant_added_to_all_logits_changes_nothing(function):
    logits, labels = example()
    shifts = np.linspace(-50, 50, len(labels))[:, None]
    moved = function(logits.astype(np.float64) + shifts, labels)
    np.testing.assert_allclose(moved, function(logits, labels), atol=1e-12)


@pytest.mark.parametrize("function", ALL)
def test_the_order_of_classes_and_of_examples_changes_nothing(function):
    logits, labels = example()
    rng = np.random.default_rng(1)
    order, rows = rng.permutation(5), rng.permutation(len(labels))
    place = np.argsort(order)
    found = function(logits[rows][:, order], place[labels[rows]])
    np.testing.assert_allclose(found, function(logits, labels)[rows], rtol=1e-12)


def test_the_scale_of_the_logits():
    logits, labels = example()
    plain, triple = (margin.logit_margins(c * logits, labels) for c in (1.0, 3.0))
    np.testing.assert_allclose(triple, 3 * plain, rtol=1e-6)
    plain, triple = (margin.relative_margins(c * logits, labels) for c in (1.0, 3.0))
    np.testing.assert_allclose(triple, plain, rtol=1e-6)


def test_the_largest_relative_margin_and_that_of_equal_logits():
    logits = np.array([[7.0, 0, 0, 0], [1.0, 1, 1, 1]])
    found = margin.relative_margins(logits, np.array([0, 0]))
    np.testing.assert_allclose(found, [4 / math.sqrt(3), 0.0], rtol=1e-12)


def test_large_logits_have_finite_probabilities():
    found = margin.probability_margins(np.array([[1e5, 0.0]] * 2), np.array([0, 1]))
    np.testing.assert_array_equal(found, [1.0, -1.0])


@pytest.mark.parametrize("function", ALL)
def test_what_has_no_margin_is_refused(function):
    with pytest.raises(ValueError, match="two classes or more, got 1"):
        function(np.zeros((3, 1)), np.zeros(3, int))
    with pytest.raises(ValueError, match=r"labels must lie in \[0, 2\)"):
        function(np.zeros((2, 2)), np.array([0, 2]))
