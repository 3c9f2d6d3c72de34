"""Scores and their numbers against scikit-learn; other images in the model's shape."""

import types

import numpy as np
import pytest
from sklearn.covariance import EmpiricalCovariance, shrunk_covariance
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from configs import base
from train.base.errors import UserError
from train.data import fingerprint
from train.data.splits import DataSet, InMemory
from train.evaluation.judgement import Options
from train.evaluation.measures import ood
from train.evaluation.measures.ood import detection, images, scores
from train.evaluation.outputs import Outputs

RNG = np.random.default_rng(0)


def drawn(ties):
    inside, outside = RNG.normal(1.0, 1.0, 300), RNG.normal(0.0, 1.5, 170)
    return (inside.round(1), outside.round(1)) if ties else (inside, outside)


@pytest.mark.parametrize("ties", [False, True])
def test_the_numbers_are_those_of_scikit_learn(ties):
    inside, outside = drawn(ties)
    truth = np.repeat([1, 0], [len(inside), len(outside)])
    both = np.concatenate([inside, outside])
    found = detection.found(inside, outside)
    assert found["area_under_roc"] == pytest.approx(roc_auc_score(truth, both))
    for name, truths, values in (
        ("average_precision_in", truth, both),
        ("average_precision_out", 1 - truth, -both),
    ):
        assert found[name] == pytest.approx(average_precision_score(truths, values))
    false, true, _ = roc_curve(truth, both, drop_intermediate=False)
    expected = false[np.argmax(true >= 0.95)]
    assert found["false_positive_rate_at_95"] == pytest.approx(expected)


def test_a_score_that_tells_all_and_one_that_tells_nothing():
    high, low = np.arange(20.0) + 100, np.arange(20.0)
    best = detection.found(high, low)
    assert (best["area_under_roc"], best["average_precision_out"]) == (1.0, 1.0)
    assert best["false_positive_rate_at_95"] == 0.0
    none = detection.found(np.ones(10), np.ones(30))
    assert none["area_under_roc"] == 0.5
    assert none["average_precision_in"] == 0.25  # the share of the positives
    assert none["false_positive_rate_at_95"] == 1.0


def test_histograms_count_every_example():
    inside, outside = drawn(False)
    found = detection.histogram(np.append(inside, 1e9), outside)
    assert sum(found["in_distribution"]) == 301
    assert sum(found["out_of_distribution"]) == 170
    assert len(found["edges"]) == len(found["in_distribution"]) + 1
    assert np.isfinite(found["edges"]).all()


def test_scores_of_logits():
    logits = RNG.normal(size=(9, 4)) * 3
    powers = np.exp(logits)
    expected = powers.max(axis=1) / powers.sum(axis=1)
    np.testing.assert_allclose(scores.maximum_probability(logits), expected)
    np.testing.assert_allclose(scores.energy(logits), np.log(powers.sum(axis=1)))
    np.testing.assert_array_equal(scores.maximum_logit(logits), logits.max(axis=1))
    assert np.isfinite(scores.energy(logits * 1e4)).all()


@pytest.mark.parametrize("shrinkage", [0.0, 0.1, 1.0])
def test_distances_are_those_of_scikit_learns_covariance(shrinkage, monkeypatch):
    monkeypatch.setattr(scores, "CHUNK", 4)
    labels = np.repeat([0, 1, 3], [30, 40, 50])
    features = RNG.normal(size=(120, 5)) * np.arange(1, 6) + 3.0 * labels[:, None]
    parts = [
        (features[rows], labels[rows]) for rows in np.array_split(np.arange(120), 7)
    ]
    fitted = scores.fit_gaussians(parts, 4)
    means = np.stack([features[labels == label].mean(axis=0) for label in (0, 1, 3)])
    np.testing.assert_allclose(fitted.means, means)
    centred = features - means[np.searchsorted([0, 1, 3], labels)]
    theirs = EmpiricalCovariance(assume_centered=True).fit(centred).covariance_
    np.testing.assert_allclose(fitted.covariance, theirs, atol=1e-12)
    inverse = np.linalg.inv(shrunk_covariance(theirs, shrinkage))
    others = RNG.normal(size=(11, 5)) * 9
    expected = [
        -min((x - mean) @ inverse @ (x - mean) for mean in means) for x in others
    ]
    ours = scores.mahalanobis(others, fitted, shrinkage)
    np.testing.assert_allclose(ours, expected)
    at_means = scores.mahalanobis(means, fitted, shrinkage)
    np.testing.assert_allclose(at_means, 0.0, atol=1e-9)


def test_what_has_no_covariance():
    with pytest.raises(ValueError, match="no examples"):
        scores.fit_gaussians([], 3)
    same = np.ones((6, 2))
    with pytest.raises(ValueError, match="no feature differs"):
        scores.fit_gaussians([(same, np.zeros(6, int))], 3)
    flat = RNG.normal(size=(6, 2)) * [1.0, 0.0]
    fitted = scores.fit_gaussians([(flat, np.zeros(6, int))], 3)
    with pytest.raises(ValueError, match="shrinkage must be larger, got 0"):
        scores.mahalanobis(flat, fitted, 0.0)
    assert np.isfinite(scores.mahalanobis(flat, fitted, 0.01)).all()


def test_all_scores_of_outputs():
    of = lambda centre: Outputs(
        np.arange(40), np.arange(40) % 2, RNG.normal(size=(40, 2)),
        RNG.normal(size=(40, 3)) + centre,
    )  # fmt: skip
    inside, outside = of(0.0), of(9.0)
    fitted = scores.fit_gaussians([(inside.features, inside.labels)], 2)
    found = ood.found(*(ood.scores_of(o, fitted, 0.01) for o in (inside, outside)))
    assert [*found] == [*scores.OF_LOGITS, "mahalanobis"]
    assert found["mahalanobis"]["area_under_roc"] == 1.0


def test_noise_of_an_example_depends_on_seed_and_position_alone():
    noise = images.Noise(50, (4, 6, 3), seed=1)
    taken = noise.take(np.array([7, 3]))["image"]
    assert (taken.shape, taken.dtype) == ((2, 4, 6, 3), np.uint8)
    np.testing.assert_array_equal(taken[1], noise.take(np.array([3]))["image"][0])
    assert (taken[0] != taken[1]).any()
    other = images.Noise(50, (4, 6, 3), seed=2).take(np.array([7]))["image"][0]
    assert (other != taken[0]).any()
    everything = noise.take(np.arange(50))["image"]
    assert abs(everything.mean() - 127.5) < 3


def test_images_are_resized_whole_and_grey_ones_repeated():
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (3, 8, 4, 1), np.uint8)
    np.testing.assert_array_equal(images.resized(grey, (8, 4, 1)), grey)
    np.testing.assert_array_equal(
        images.resized(grey, (8, 4, 3)), np.repeat(grey, 3, -1)
    )
    halved = images.resized(np.repeat(grey, 3, -1), (2, 2, 3))
    assert halved.shape == (3, 2, 2, 3)
    # Pillow's filter averages over what becomes a pixel; a constant stays constant.
    assert abs(halved.astype(float).mean() - grey.mean()) < 12
    flat = np.full((1, 8, 8, 1), 77, np.uint8)
    np.testing.assert_array_equal(images.resized(flat, (28, 28, 1)), 77)
    # Columns stay in the order of the image.
    ramp = np.tile(np.arange(0, 240, 30, dtype=np.uint8), (1, 5, 1))[..., None]
    assert (
        np.diff(images.resized(ramp, (9, 21, 1))[0, 0, :, 0].astype(int)) >= 0
    ).all()


def context_of(image_shape, source="digits", **given):
    """What `images` reads of a context whose test part is that of the digits."""
    config = base.get_config()
    config.data.source = source
    test = images.sources.open_source(config.data).test
    data = DataSet(test, test, 10, image_shape)
    target = types.SimpleNamespace(
        config=config, data=data, data_fingerprint=fingerprint.of_split(test)
    )
    return types.SimpleNamespace(
        target=target, options=Options(**given), count=given.get("num_examples", 360),
        values={"ood_split": "test", "ood": None},
    )  # fmt: skip


def stored(folder, shape, name="other.npz"):
    rng = np.random.default_rng(1)
    pixels, labels = rng.integers(0, 256, (9, *shape), np.uint8), np.arange(9) % 3
    path = folder / name
    np.savez(path, x_train=pixels, y_train=labels, x_test=pixels, y_test=labels)
    return f"npz:{path}", pixels


def test_other_images_come_in_the_shape_of_the_model(tmp_path):
    source, pixels = stored(tmp_path, (5, 5, 1))
    found = images.of_source(source, context_of((8, 8, 1), num_examples=3))
    assert (found.shape, len(found.split)) == ((5, 5, 1), 3)
    taken = found.split.take(np.arange(3))["image"]
    assert taken.shape == (3, 8, 8, 1)
    expected = images.resized(pixels[[0, 4, 8]], (8, 8, 1))  # evenly spread
    np.testing.assert_array_equal(taken, expected)


def test_the_evaluated_images_themselves_are_refused():
    with pytest.raises(UserError, match="--ood=digits holds the evaluated images"):
        images.of_source("digits", context_of((8, 8, 1)))


def test_channels_that_do_not_fit_are_refused(tmp_path):
    source, _ = stored(tmp_path, (5, 5, 3))
    with pytest.raises(UserError, match="images of 3 channels, and the model takes 1"):
        images.of_source(source, context_of((8, 8, 1)))


def test_noise_is_named_with_its_seed():
    context = context_of((8, 8, 1), num_examples=40)
    for source, seed in (("noise", 0), ("noise:3", 3)):
        others = ood._others(source, context)
        assert isinstance(others.split, images.Noise)
        assert (others.split.seed, len(others.split)) == (seed, 40)
        assert others.fingerprint.endswith(f"seed {seed}")
    for source in ("noise:", "noise:-1", "noise:x"):
        with pytest.raises(UserError, match="seed of noise must be an integer >= 0"):
            ood._others(source, context)


def test_examples_are_spread_over_a_split():
    split = InMemory(np.zeros((10, 1)), np.arange(10))
    assert images.spread(split, 12) is split
    assert images.spread(split, 4).labels.tolist() == [0, 3, 6, 9]
    assert isinstance(images.spread(images.spread(split, 4), 2).labels, np.ndarray)
