"""A joint map: seeded, and near features are near on it, natural or adversarial."""

import numpy as np
import pytest

from train.evaluation.measures.features import tsne


def groups():
    """Two groups of natural features; the first five adversarial ones change sides."""
    rng = np.random.default_rng(0)
    side = np.repeat([0, 1], 15)
    noise = rng.standard_normal((2, 30, 6))
    natural = 20.0 * side[:, None] + noise[0]
    after = np.where(np.arange(30) < 5, 1, side)
    return natural, 20.0 * after[:, None] + noise[1], side, after


def test_natural_and_adversarial_features_share_one_map():
    natural, adversarial, side, after = groups()
    ours, theirs = tsne.joint_map(natural, adversarial, seed=0)
    assert ours.shape == theirs.shape == (30, 2)
    means = np.stack([ours[side == group].mean(axis=0) for group in (0, 1)])
    distances = np.linalg.norm(theirs[:, None] - means, axis=2)
    np.testing.assert_array_equal(distances.argmin(axis=1), after)
    again = tsne.joint_map(natural, adversarial, seed=0)
    np.testing.assert_array_equal(np.stack(again), np.stack([ours, theirs]))


@pytest.mark.parametrize("shape", [(2, 3), (5, 1)])
def test_few_points_and_few_dimensions(shape):
    features = np.random.default_rng(0).standard_normal((2, *shape))
    ours, theirs = tsne.joint_map(*features, seed=0)
    assert np.isfinite([ours, theirs]).all()


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.eye(3)[:1], "needs 4 points or more, got 2"),
        (np.full((3, 2), np.nan), "must be finite"),
        (np.ones((3, 2)), "all are equal"),
    ],
)
def test_what_has_no_map_is_refused(features, message):
    with pytest.raises(ValueError, match=message):
        tsne.joint_map(features, features, seed=0)
