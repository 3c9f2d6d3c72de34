"""CutMix: what is pasted, and which share of the label it gets."""

import numpy as np
import pytest

from train.base.errors import UserError
from train.data.augment import cutmix


def pair(count, height=10, width=14):
    """Images of even levels, and others of odd ones."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 128, (count, height, width, 3), np.uint8) * 2
    others = rng.integers(0, 128, (count, height, width, 3), np.uint8) * 2 + 1
    return images, others


def test_the_share_is_that_of_the_pixels():
    images, others = pair(500)
    before = images.copy(), others.copy()
    drawn = cutmix.random_boxes(500, np.random.default_rng(1))
    mixed, share = cutmix.mix(images, others, drawn)
    np.testing.assert_array_equal(images, before[0])
    np.testing.assert_array_equal(others, before[1])
    assert mixed.dtype == np.uint8
    assert share.dtype == np.float32
    own = (mixed % 2 == 0).all(axis=-1)
    assert (own == (mixed % 2 == 0).any(axis=-1)).all()
    np.testing.assert_allclose(share, own.mean(axis=(1, 2)), rtol=1e-6)
    expected = np.where(own[..., None], images, others)
    np.testing.assert_array_equal(mixed, expected)
    # What is pasted is a box.
    for pasted in ~own:
        rows, columns = pasted.any(axis=1), pasted.any(axis=0)
        np.testing.assert_array_equal(pasted, np.outer(rows, columns))
        assert np.abs(np.diff(np.pad(rows.astype(int), 1))).sum() <= 2
        assert np.abs(np.diff(np.pad(columns.astype(int), 1))).sum() <= 2


@pytest.mark.parametrize("kept", [0.0, 0.19, 0.5, 0.75, 0.96, 1.0])
def test_a_box_in_the_middle_has_the_drawn_area(kept):
    """Its sides are the image's times the root of 1 - lambda, in whole pixels."""
    images, others = pair(1, 100, 60)
    mixed, share = cutmix.mix(images, others, np.array([[kept, 0.5, 0.5]]))
    pasted = mixed[0, ..., 0] % 2 == 1
    height, width = int(100 * np.sqrt(1 - kept)), int(60 * np.sqrt(1 - kept))
    assert pasted.any(axis=1).sum() == (height if width else 0)
    assert pasted.any(axis=0).sum() == (width if height else 0)
    assert share[0] == pytest.approx(kept, abs=0.03)
    if 0 < pasted.sum() < pasted.size:
        where = np.argwhere(pasted)
        np.testing.assert_array_equal(
            where.min(axis=0), [50 - height // 2, 30 - width // 2]
        )


def test_a_box_that_is_cut_off_gets_less():
    images, others = pair(4, 20, 40)
    corners = [[0.0, 0.0], [0.0, 0.999], [0.999, 0.0], [0.999, 0.999]]
    drawn = np.array([[0.75, *corner] for corner in corners])
    mixed, share = cutmix.mix(images, others, drawn)
    # Of 10 x 20 pixels half lies above the centre, and half with it and below.
    expected = [5 * 10, 5 * 11, 6 * 10, 6 * 11]
    assert (mixed[..., 0] % 2 == 1).sum(axis=(1, 2)).tolist() == expected
    np.testing.assert_allclose(share, 1 - np.array(expected) / 800, rtol=1e-6)


@pytest.mark.parametrize("alpha", [0.3, 1.0, 4.0])
def test_shares_are_drawn_from_beta(alpha):
    drawn = cutmix.random_boxes(40_000, np.random.default_rng(2), alpha=alpha)
    assert drawn.shape == (40_000, 3)
    kept, *centres = drawn.T
    assert kept.mean() == pytest.approx(0.5, abs=0.01)
    assert kept.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.03)
    for centre in centres:
        counts = np.histogram(centre, 20, (0, 1))[0]
        assert ((counts - 2000) ** 2 / 2000).sum() < 50  # of 19 degrees of freedom


def test_alpha_one_is_uniform():
    kept = cutmix.random_boxes(40_000, np.random.default_rng(3), alpha=1.0)[:, 0]
    counts = np.histogram(kept, 20, (0, 1))[0]
    assert ((counts - 2000) ** 2 / 2000).sum() < 50


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_images_are_mixed_with_that_probability(probability):
    drawn = cutmix.random_boxes(
        20_000, np.random.default_rng(4), probability=probability
    )
    mixed = drawn[:, 0] < 1
    assert mixed.mean() == pytest.approx(probability, abs=0.015 * (0 < probability < 1))
    images, others = pair(50)
    found, share = cutmix.mix(images, others, drawn[:50])
    np.testing.assert_array_equal(found[~mixed[:50]], images[~mixed[:50]])
    assert (share[~mixed[:50]] == 1).all()


def test_partners_are_a_permutation():
    rng = np.random.default_rng(5)
    partners = np.array([cutmix.random_partners(6, rng) for _ in range(6000)])
    assert (np.sort(partners, axis=1) == np.arange(6)).all()
    for row in partners.T:
        counts = np.bincount(row, minlength=6)
        assert ((counts - 1000) ** 2 / 1000).sum() < 30  # of 5 degrees of freedom


def batch_of(count):
    images, _ = pair(count)
    return {"image": images, "label": np.arange(count, dtype=np.int32), "more": images}


def test_a_batch_has_both_labels_and_the_share():
    batch = batch_of(30)
    rng = np.random.default_rng(6)
    rows = cutmix.random_partners(30, rng)
    drawn = cutmix.random_boxes(30, rng)
    partners = {name: column[rows] for name, column in batch.items()}
    found = cutmix.cutmix(batch, partners, drawn)
    assert set(found) == {"image", "label", "more", "other_label", "share"}
    image, share = cutmix.mix(batch["image"], batch["image"][rows], drawn)
    np.testing.assert_array_equal(found["image"], image)
    np.testing.assert_array_equal(found["share"], share)
    np.testing.assert_array_equal(found["label"], np.arange(30))
    np.testing.assert_array_equal(found["other_label"], rows)
    assert set(batch) == {"image", "label", "more"}


def test_rows_of_a_batch_are_what_they_are_in_the_whole():
    batch = batch_of(20)
    take = lambda rows: {name: column[rows] for name, column in batch.items()}
    draw = lambda rng: (cutmix.random_partners(20, rng), cutmix.random_boxes(20, rng))
    rows, drawn = draw(np.random.default_rng(7))
    for first, again in zip((rows, drawn), draw(np.random.default_rng(7)), strict=True):
        np.testing.assert_array_equal(first, again)
    whole = cutmix.cutmix(batch, take(rows), drawn)
    for mine in (np.arange(7), np.array([19, 0, 3]), np.array([], int)):
        part = cutmix.cutmix(take(mine), take(rows[mine]), drawn[mine])
        for name, column in part.items():
            np.testing.assert_array_equal(column, whole[name][mine])


@pytest.mark.parametrize("alpha", [0.0, -1.0, float("inf"), float("nan")])
def test_alphas_of_no_distribution(alpha):
    with pytest.raises(UserError, match="alpha must be > 0 and finite, got"):
        cutmix.random_boxes(4, np.random.default_rng(0), alpha=alpha)


@pytest.mark.parametrize("probability", [-0.1, 1.1, float("nan")])
def test_bad_probabilities(probability):
    with pytest.raises(UserError, match=r"probability must lie in \[0, 1\], got"):
        cutmix.random_boxes(4, np.random.default_rng(0), probability=probability)


def test_images_that_cannot_be_mixed():
    images, others = pair(4)
    drawn = np.zeros((4, 3))
    with pytest.raises(UserError, match=r"one shape, got \[4, 10, 14, 3\] and \[4, 9,"):
        cutmix.mix(images, others[:, :9], drawn)
    with pytest.raises(UserError, match="drawn must have a row for each of the 4"):
        cutmix.mix(images, others, drawn[:1])
    with pytest.raises(UserError, match=r"images must be \[B, H, W, K\]"):
        cutmix.mix(images[0], others[0], drawn)
