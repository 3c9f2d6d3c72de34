"""Labels that a network gives: whose, from what, and which are kept."""

import jax
import numpy as np
import pytest

from configs import base
from tests.support.recipes import other_weights
from train.base.errors import UserError
from train.data.splits import InMemory
from train.evaluation import pseudo_labels, target, unlabelled

SCALE = 4.0  # so that probabilities differ


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """A network with weights of digits, of which 100 have labels."""
    folder = tmp_path_factory.mktemp("teacher")
    config = base.get_config()
    config.data.num_labels = 100
    path = other_weights(folder / "w.npz", scale=SCALE)
    return target.of_file(path, config, folder)


def logits_of(teacher, images):
    x = images.astype(np.float32) / 255
    return teacher.model.apply(teacher.weights.variables, x)


class Guarded(InMemory):
    """A split whose labels raise when they are asked for, and are wrong in batches."""

    def __len__(self):
        return len(self.images)

    @property
    def labels(self):
        raise AssertionError("somebody reads the labels")

    def take(self, indices):
        return {"image": self.images[indices], "label": np.full(len(indices), -5)}


def guarded(images):
    split = object.__new__(Guarded)
    object.__setattr__(split, "images", images)
    return split


def test_the_most_likely_class_of_each_image_without_its_label(teacher, tmp_path):
    split = unlabelled.of_target(teacher, tmp_path)
    assert len(split) == 1437 - 100
    images = split.take(np.arange(len(split)))["image"]
    found = pseudo_labels.of(teacher, guarded(images), 0.0)
    logits = logits_of(teacher, images)
    np.testing.assert_array_equal(found.labels, logits.argmax(axis=1))
    np.testing.assert_array_equal(found.images, images)
    expected = np.asarray(jax.nn.softmax(logits)).max(axis=1)
    np.testing.assert_allclose(found.confidences, expected, rtol=1e-5)
    assert found.considered == len(images)
    about = pseudo_labels.about(teacher, guarded(images), 0.0)
    assert about == pseudo_labels.about(teacher, split, 0.0)
    assert about["weights_checksum"] == teacher.weights_checksum


@pytest.mark.parametrize("kept", ["all", "others"])
def test_no_labelled_image_is_among_them(teacher, tmp_path, kept):
    """Even where the run learns from all images without labels, the labelled too."""
    data = teacher.data
    config = teacher.config.data.copy_and_resolve_references()
    config.unlabelled = kept
    opened = target.sources.open_source(config)
    assert len(opened.unlabelled) == (1437 if kept == "all" else 1337)
    split = unlabelled.few_labels.without_labels(opened)
    both = {*split.indices.tolist()} & {*data.train.indices.tolist()}
    assert (len(split), both) == (1337, set())


def test_the_threshold_leaves_out_the_others(teacher, tmp_path):
    images = unlabelled.of_target(teacher, tmp_path).take(np.arange(300))["image"]
    everything = pseudo_labels.of(teacher, guarded(images), 0.0)
    threshold = float(np.median(everything.confidences))
    kept = everything.confidences >= threshold
    found = pseudo_labels.of(teacher, guarded(images), threshold)
    assert 100 < kept.sum() < 200
    np.testing.assert_array_equal(found.images, everything.images[kept])
    np.testing.assert_array_equal(found.labels, everything.labels[kept])
    assert found.considered == 300
    with pytest.raises(UserError, match=r"no image has a class of probability 0.9999"):
        pseudo_labels.of(teacher, guarded(images[:1]), 0.9999)


def test_images_of_a_file(teacher, tmp_path):
    images = teacher.data.test.take(np.arange(20))["image"]
    np.save(tmp_path / "a.npy", images)
    np.savez(tmp_path / "a.npz", image=images, label=np.full(20, 77))
    for name in ("a.npy", "a.npz"):
        split = unlabelled.of_file(tmp_path / name, teacher)
        np.testing.assert_array_equal(split.take(np.arange(20))["image"], images)
        assert not split.labels.any()
    for array, message in (
        (images[:0], r"uint8 \[N, H, W, K\] with N > 0, got uint8 \(0, 8, 8, 1\)"),
        (images / 255, r"got float64 \(20, 8, 8, 1\)"),
        (images[..., 0], r"got uint8 \(20, 8, 8\)"),
        (images[:, :4], r"has images \(4, 8, 1\), but the network was trained on"),
    ):
        np.save(tmp_path / "b.npy", array)
        with pytest.raises(UserError, match=message):
            unlabelled.of_file(tmp_path / "b.npy", teacher)
    np.savez(tmp_path / "c.npz", x=images)
    with pytest.raises(UserError, match="lacks image; it holds x"):
        unlabelled.of_file(tmp_path / "c.npz", teacher)
    (tmp_path / "d.npz").write_text("none")
    for name in ("d.npz", "e.npz"):
        with pytest.raises(UserError, match=f"{name} cannot be read"):
            unlabelled.of_file(tmp_path / name, teacher)


def test_images_of_a_source(teacher, tmp_path):
    """All its training images, whatever of its own data the run learns from."""
    x = np.zeros((40, 8, 8, 1), np.uint8)
    arrays = {"x_train": x, "x_test": x, "y_train": np.arange(40) % 4}
    np.savez(tmp_path / "a.npz", y_test=np.arange(40) % 4, **arrays)
    assert len(unlabelled.of_source(f"npz:{tmp_path / 'a.npz'}", teacher)) == 40
    arrays["x_train"] = arrays["x_test"] = np.zeros((40, 9, 9, 1), np.uint8)
    np.savez(tmp_path / "b.npz", y_test=np.arange(40) % 4, **arrays)
    with pytest.raises(
        UserError, match=r"b.npz has images \(9, 9, 1\), but the network"
    ):
        unlabelled.of_source(f"npz:{tmp_path / 'b.npz'}", teacher)
    assert teacher.config.data.num_labels == 100
