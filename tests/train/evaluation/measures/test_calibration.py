"""Calibration against scikit-learn, plain loops and what must hold of each number."""

import math

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import log_loss

from train.evaluation.measures import calibration
from train.evaluation.measures.calibration import errors, temperature

BINS = 15


def drawn(count=700, num_classes=5, scale=2.0, seed=0):
    """Logits, and labels drawn from their probabilities: calibrated at scale 1."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(count, num_classes)) * 2
    uniform = rng.uniform(size=count)
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (chances.cumsum(axis=1) < uniform[:, None]).sum(axis=1)
    return logits * scale, np.minimum(labels, num_classes - 1)


def probabilities(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def test_likelihood_is_that_of_scikit_learn():
    logits, labels = drawn()
    ours = errors.negative_log_likelihood(logits, labels)
    assert ours.mean() == pytest.approx(log_loss(labels, probabilities(logits)))


def test_brier_score_is_the_sum_over_classes():
    logits, labels = drawn(count=40)
    expected = [
        sum((p - (c == label)) ** 2 for c, p in enumerate(row))
        for row, label in zip(probabilities(logits), labels, strict=True)
    ]
    np.testing.assert_allclose(errors.brier_score(logits, labels), expected)
    worst = errors.brier_score(np.array([[1000.0, 0.0]]), np.array([1]))
    assert worst == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("ours", "theirs"), [("equal_width", "uniform"), ("equal_mass", "quantile")]
)
def test_the_diagram_is_that_of_scikit_learn(ours, theirs):
    calibrated = errors.confidences(*drawn())
    bins = errors.BINNINGS[ours](calibrated.confidence, BINS)
    accuracy, confidence = calibration_curve(
        calibrated.correct, calibrated.confidence, n_bins=BINS, strategy=theirs
    )
    there = [
        each for each in errors.reliability(calibrated, bins, BINS) if each["count"]
    ]
    # The edges of quantiles may put one example into the bin beside.
    tolerance = {"equal_width": 1e-12, "equal_mass": 0.03}[ours]
    np.testing.assert_allclose(
        [each["accuracy"] for each in there], accuracy, atol=tolerance
    )
    np.testing.assert_allclose(
        [each["confidence"] for each in there], confidence, atol=tolerance
    )


def loop_error(confidence, correct, groups):
    return sum(
        len(group) / len(confidence)
        * abs(
            sum(correct[i] for i in group) / len(group)
            - sum(confidence[i] for i in group) / len(group)
        )
        for group in groups
        if len(group)
    )  # fmt: skip


def test_the_error_is_that_of_a_loop_over_bins():
    calibrated = errors.confidences(*drawn())
    confidence, correct = calibrated
    widths = [[] for _ in range(BINS)]
    for i, value in enumerate(confidence):
        widths[math.ceil(value * BINS) - 1].append(i)
    order = np.argsort(confidence)
    masses = [
        [i for rank, i in enumerate(order) if rank * BINS // len(order) == k]
        for k in range(BINS)
    ]
    assert {len(group) for group in masses} == {46, 47}
    for name, groups in (("equal_width", widths), ("equal_mass", masses)):
        bins = errors.BINNINGS[name](confidence, BINS)
        ours = errors.expected_calibration_error(calibrated, bins, BINS)
        assert ours == pytest.approx(loop_error(confidence, correct, groups))


def test_a_confidence_at_an_edge_is_in_the_bin_below():
    confidence = np.array([0.25, 0.26, 0.5, 0.75, 1.0])
    np.testing.assert_array_equal(errors.equal_width(confidence, 4), [0, 1, 1, 2, 3])


def test_examples_of_one_confidence_share_a_bin_of_equal_mass():
    confidence = np.array([1.0, 1.0, 0.2, 1.0, 0.3, 1.0])
    np.testing.assert_array_equal(errors.equal_mass(confidence, 3), [1, 1, 0, 1, 0, 1])


def test_the_interval_of_one_bin_is_that_of_a_mean():
    logits, labels = drawn(count=2000)
    calibrated = errors.confidences(logits, labels)
    bins = np.zeros(2000, int)
    find = lambda seed: errors.bootstrap_interval(
        calibrated, bins, 1, resamples=2000, seed=seed
    )
    gap = calibrated.confidence - calibrated.correct
    spread = 1.96 * gap.std() / math.sqrt(2000)
    assert abs(gap.mean()) > 2 * spread  # so that |mean| is as good as the mean
    expected = abs(gap.mean()) - spread, abs(gap.mean()) + spread
    np.testing.assert_allclose(find(0), expected, rtol=0.04)
    assert find(0) == find(0) != find(1)


def test_the_temperature_undoes_the_scale_of_the_logits():
    logits, labels = drawn(count=4000, scale=3.0)
    found = temperature.fitted(logits, labels)
    assert found == pytest.approx(3.0, rel=0.1)
    # At the minimum the mean logit of the label is the expected one: the derivative.
    expected = (probabilities(logits / found) * logits).sum(axis=1).mean()
    assert logits[np.arange(4000), labels].mean() == pytest.approx(expected, abs=1e-4)
    assert not temperature.is_at_limit(found)
    before, after = (
        calibration.found(each, labels, bins=BINS, resamples=5, seed=0)
        for each in (logits, logits / found)
    )
    assert after["negative_log_likelihood"] < before["negative_log_likelihood"]
    value = lambda all_found: all_found["expected_calibration_error"]["equal_mass"][
        "value"
    ]
    assert value(after) < 0.05 < 0.1 < value(before)


def test_where_all_are_right_the_temperature_is_a_limit():
    labels = np.arange(6) % 3
    found = temperature.fitted(np.eye(3)[labels], labels)
    assert found == pytest.approx(temperature.LIMITS[0], rel=1e-3)
    assert temperature.is_at_limit(found)


def test_an_empty_bin_has_no_means():
    logits, labels = np.array([[9.0, 0.0]]), np.array([0])
    found = calibration.found(logits, labels, bins=2, resamples=1, seed=0)
    first, second = found["reliability"]["equal_width"]
    assert first == {"count": 0, "confidence": None, "accuracy": None}
    assert (second["count"], second["accuracy"]) == (1, 1.0)


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (np.zeros((2, 3)), np.zeros(3, int), r"got \(2, 3\) and \(3,\)"),
        (np.zeros((0, 3)), np.zeros(0, int), "N and C > 0"),
        (np.full((1, 2), np.nan), np.zeros(1, int), "must be finite"),
        (np.zeros((1, 2)), np.array([2]), r"\[0, 2\), got values from 2 to 2"),
        (np.zeros((1, 2)), np.array([0.5]), "must be integers, got float64"),
    ],
)
def test_what_is_no_logits_and_labels(logits, labels, message):
    with pytest.raises(ValueError, match=message):
        errors.confidences(logits, labels)
