"""Distances within and between classes against loops, and what must not change them."""

import math

import numpy as np
import pytest

from train.evaluation.measures.features import spread

CLASSES = 4


def example():
    """Class 3 has no examples."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat([0, 1, 2], [9, 5, 6]))
    centres = rng.standard_normal((3, 5))
    features = centres[labels] + rng.standard_normal((20, 5))
    return features.astype(np.float32), labels


def test_against_loops():
    features, labels = example()
    rows = [list(map(float, row)) for row in features]
    means = {}
    for label in (0, 1, 2):
        mine = [row for row, other in zip(rows, labels, strict=True) if other == label]
        means[label] = [sum(column) / len(mine) for column in zip(*mine, strict=True)]
    own = [
        math.dist(row, means[label]) for row, label in zip(rows, labels, strict=True)
    ]
    pairs = [math.dist(means[a], means[b]) for a, b in ((0, 1), (0, 2), (1, 2))]
    nearest = [min(means, key=lambda c: math.dist(row, means[c])) for row in rows]
    found = spread.spread(features, labels, CLASSES)
    assert found.within == pytest.approx(sum(own) / 20, rel=1e-12)
    assert found.between == pytest.approx(sum(pairs) / 3, rel=1e-12)
    assert found.ratio == pytest.approx(sum(own) / 20 / (sum(pairs) / 3), rel=1e-12)
    assert found.nearest == np.mean(nearest == labels)
    assert 0.5 < found.nearest < 1
    for label in (0, 1, 2):
        mine = [d for d, other in zip(own, labels, strict=True) if other == label]
        assert found.within_by_class[label] == pytest.approx(sum(mine) / len(mine))
    assert np.isnan(found.within_by_class[3])
    np.testing.assert_allclose(
        spread.class_means(features, labels, CLASSES)[:3], list(means.values())
    )


def rotation(size):
    q, _ = np.linalg.qr(np.random.default_rng(2).standard_normal((size, size)))
    return q


@pytest.mark.parametrize(
    "change",
    [
        lambda features: features + np.arange(5.0),
        lambda features: features @ rotation(5),
        lambda features: np.insert(features, 2, 7.0, axis=1),  # a unit that is constant
    ],
    ids=["shift", "rotation", "constant"],
)
def test_where_the_origin_and_the_axes_are_changes_nothing(change):
    features, labels = example()
    found = spread.spread(change(features.astype(np.float64)), labels, CLASSES)
    expected = spread.spread(features, labels, CLASSES)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_a_scale_changes_distances_and_not_their_ratio():
    features, labels = example()
    one, ten = (spread.spread(c * features, labels, CLASSES) for c in (1, 10))
    assert ten.within == pytest.approx(10 * one.within, rel=1e-6)
    assert ten.between == pytest.approx(10 * one.between, rel=1e-6)
    assert ten.ratio == pytest.approx(one.ratio, rel=1e-6)


def test_the_order_of_examples_and_of_classes_changes_nothing():
    features, labels = example()
    rows = np.random.default_rng(3).permutation(20)
    found = spread.spread(features[rows], 3 - labels[rows], CLASSES)
    expected = spread.spread(features, labels, CLASSES)
    assert found.within == pytest.approx(expected.within)
    assert found.between == pytest.approx(expected.between)
    assert found.nearest == expected.nearest
    np.testing.assert_allclose(found.within_by_class[::-1], expected.within_by_class)


def test_distances_to_the_means_of_other_features():
    features, labels = example()
    means = spread.class_means(features, labels, CLASSES)
    moved = features + 100.0
    found = spread.spread(moved, labels, CLASSES, means)
    assert found.between == spread.between(means)
    expected = np.linalg.norm(moved.astype(np.float64) - means[labels], axis=1).mean()
    assert found.within == pytest.approx(expected)
    assert spread.spread(moved, labels, CLASSES).within < found.within / 10


def test_how_far_features_move():
    natural = np.array([[0.0, 0.0], [1.0, 1.0]], np.float32)
    adversarial = np.array([[3.0, 4.0], [1.0, 1.0]], np.float32)
    np.testing.assert_array_equal(spread.moved(natural, adversarial), [5.0, 0.0])


def test_one_class_has_no_distance_between_classes():
    found = spread.spread(np.eye(3), np.zeros(3, int), 2)
    assert np.isnan(found.between)
    assert np.isnan(found.ratio)
    assert found.nearest == 1


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        (np.zeros((0, 2)), [], r"\[N, F\] with N > 0, got \(0, 2\)"),
        (np.zeros(3), [0, 0, 0], r"\[N, F\] with N > 0, got \(3,\)"),
        (np.zeros((3, 2)), [0, 0], r"N = 3 as features, got \(2,\)"),
    ],
)
def test_what_does_not_fit_is_refused(features, labels, message):
    with pytest.raises(ValueError, match=message):
        spread.spread(features, np.array(labels, int), 2)
