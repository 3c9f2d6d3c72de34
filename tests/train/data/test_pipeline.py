"""The order of the data: complete, seeded, and entered anywhere."""

from functools import partial

import numpy as np
import pytest

from configs import base
from tests.support.batches import check_two_processes, take
from train.base.errors import UserError
from train.data import pipeline
from train.data.augment import crops
from train.data.splits import InMemory

COUNT = 50


def numbered():
    """Every image says its own number."""
    images = np.tile(
        np.arange(COUNT, dtype=np.uint8)[:, None, None, None], (1, 6, 6, 1)
    )
    return InMemory(images, np.arange(COUNT, dtype=np.int32))


def batches(seed=0, batch_size=8, rows=pipeline.all_rows, **changed):
    config = base.get_config().data
    config.update(changed)
    return pipeline.training_batches(
        numbered(), config, batch_size=batch_size, seed=seed, rows=rows
    )


def labels(read):
    return [batch["label"].tolist() for batch in read]


def test_an_epoch_has_each_example_at_most_once_and_the_next_differs():
    read = labels(take(batches(), 12))
    first, second = np.concatenate(read[:6]), np.concatenate(read[6:])
    for epoch in (first, second):
        assert len(set(epoch)) == len(epoch) == 48
    assert not np.array_equal(first, second)


def test_the_seed_decides():
    assert labels(take(batches(3), 5)) == labels(take(batches(3), 5))
    assert labels(take(batches(3), 5)) != labels(take(batches(4), 5))


@pytest.mark.parametrize("threads", [1, 4])
def test_going_on_from_a_saved_position(threads):
    augmented = dict(crop_padding=2, flip=True)
    whole = take(batches(**augmented), 15)
    first = batches(threads=threads, **augmented)
    take(first, 8)
    second = batches(threads=3, **augmented)
    second.set_state(first.get_state())
    for ours, expected in zip(take(second, 7), whole[8:], strict=True):
        np.testing.assert_array_equal(ours["image"], expected["image"])
        np.testing.assert_array_equal(ours["label"], expected["label"])


def test_evaluation_batches_are_in_order_and_padded():
    read = list(pipeline.evaluation_batches(numbered(), 16, np.arange(40)))
    assert [len(batch["label"]) for batch, _ in read] == [16, 16, 16]
    valid = np.concatenate([valid for _, valid in read])
    kept = np.concatenate([batch["label"] for batch, _ in read])[valid]
    np.testing.assert_array_equal(kept, np.arange(40))


def test_the_last_batch_of_an_epoch_may_stay():
    read = labels(take(batches(drop_remainder=False), 14))
    assert [len(batch) for batch in read] == [8, 8, 8, 8, 8, 8, 2] * 2
    assert set(np.concatenate(read[:7])) == set(range(COUNT))
    config = base.get_config().data
    assert pipeline.batch_sizes(numbered(), config, 8) == [8] * 6
    config.drop_remainder = False
    assert pipeline.batch_sizes(numbered(), config, 8) == [8] * 6 + [2]


def test_a_batch_larger_than_the_data():
    config = base.get_config().data
    with pytest.raises(UserError, match="at most the 50 training examples, got 51"):
        pipeline.batch_sizes(numbered(), config, 51)


def test_pad_crop_shifts_and_fills_with_black():
    images = np.arange(1, 17, dtype=np.uint8).reshape(1, 4, 4, 1).repeat(400, 0)
    shifts = crops.random_shifts(400, 1, np.random.default_rng(0))
    cropped = crops.pad_crop(images, 1, shifts)
    padded = np.pad(images[0, ..., 0], 1)
    windows = {
        padded[i : i + 4, j : j + 4].tobytes() for i in range(3) for j in range(3)
    }
    assert {image.tobytes() for image in cropped} == windows


def test_pad_crop_reflects_what_is_beside_the_edge():
    images = np.arange(1, 10, dtype=np.uint8).reshape(1, 3, 3, 1)
    corner = crops.pad_crop(images, 2, np.zeros((2, 1), int), fill="reflect")
    np.testing.assert_array_equal(corner[0, ..., 0], [[9, 8, 7], [6, 5, 4], [3, 2, 1]])
    config = dict(crop_padding=2, crop_fill="reflect")
    for batch in take(batches(**config), 3):  # an image of one level stays as it is
        assert (batch["image"] == batch["label"][:, None, None, None]).all()


def test_few_labels_fill_every_batch():
    """Five labels in batches of eight, or ten: each as often as the others."""
    labelled = InMemory(numbered().images[:5], np.arange(5, dtype=np.int32))
    config = base.get_config().data
    config.num_labels = 5
    for size in (8, 10):
        assert pipeline.batch_sizes(labelled, config, size) == [size]
        read = pipeline.training_batches(labelled, config, batch_size=size, seed=0)
        found = labels(take(read, 5))
        assert {len(batch) for batch in found} == {size}
        orders = np.concatenate(found).reshape(size, 5)
        np.testing.assert_array_equal(np.sort(orders), np.tile(range(5), (size, 1)))
        assert len({order.tobytes() for order in orders}) > 3
    assert pipeline.batch_sizes(labelled, config, 2) == [2, 2]


def test_flip_mirrors_half_of_the_images():
    images = np.arange(8, dtype=np.uint8).reshape(1, 2, 4, 1).repeat(1000, 0)
    mirrored = crops.random_mirrors(1000, np.random.default_rng(0))
    flipped = crops.flip(images, mirrored)
    changed = (flipped != images).any((1, 2, 3))
    np.testing.assert_array_equal(flipped[changed], images[changed][:, :, ::-1])
    np.testing.assert_array_equal(changed, mirrored)
    assert 400 < changed.sum() < 600


@pytest.mark.parametrize("drop_remainder", [True, False])
def test_two_processes_read_the_rows_of_one(drop_remainder):
    """Augmented alike, and with a state that does not say how many processes read."""
    changed = dict(crop_padding=2, flip=True, drop_remainder=drop_remainder)
    check_two_processes(partial(batches, **changed), 14)
