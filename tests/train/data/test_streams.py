"""Batches that other examples join, in numbers of their own."""

import numpy as np
import pytest

from configs import base
from tests.support.batches import check_same, check_two_processes, take
from train.base.errors import UserError
from train.data import pipeline
from train.data.augment import views
from train.data.splits import InMemory

LABELLED, OTHERS = 20, 45
BATCH, MANY = 8, 12  # rows of the labelled and of the other examples


def numbered(count):
    """Each image shows its own number, and has it as its label."""
    images = np.arange(count, dtype=np.uint8)[:, None, None, None]
    images = np.tile(images, (1, 6, 6, 3))
    images[:, 0, 0] = 255  # so that no image is symmetric
    return InMemory(images, np.arange(count, dtype=np.int32))


def data_config(**changed):
    config = base.get_config().data
    config.update(changed)
    return config


def stream(**changed):
    return pipeline.Stream(numbered(OTHERS), data_config(**changed), MANY)


def batches(streams, *, rows=pipeline.all_rows, seed=0, **changed):
    return pipeline.training_batches(
        numbered(LABELLED), data_config(crop_padding=2, **changed), batch_size=BATCH,
        seed=seed, rows=rows, streams=streams,
    )  # fmt: skip


def two_streams(**changed):
    views = dict(flip=True, second_view="rand_augment")
    return batches(dict(unlabelled=stream(**views), third=stream()), **changed)


def test_columns_have_the_rows_of_their_stream():
    batch = next(two_streams())
    assert {name: len(column) for name, column in batch.items()} == {
        "image": BATCH, "label": BATCH,
        "unlabelled_image": MANY, "unlabelled_label": MANY,
        "unlabelled_second_view": MANY,
        "third_image": MANY, "third_label": MANY,
    }  # fmt: skip


@pytest.mark.parametrize("drop_remainder", [True, False])
def test_what_else_is_in_a_batch_does_not_change(drop_remainder):
    changed = dict(drop_remainder=drop_remainder, flip=True)
    plain = take(batches({}, **changed), 7)
    joined = take(two_streams(**changed), 7)
    check_same([{name: batch[name] for name in plain[0]} for batch in joined], plain)
    assert [len(batch["label"]) for batch in plain[:3]] == (
        [8, 8, 8] if drop_remainder else [8, 8, 4]
    )
    assert {len(batch["unlabelled_label"]) for batch in joined} == {MANY}


def test_a_stream_is_one_permutation_of_its_examples_after_another():
    read = take(two_streams(), 15)  # 4 permutations of 45 in 15 batches of 12
    for name in ("unlabelled", "third"):
        labels = np.concatenate([batch[f"{name}_label"] for batch in read])
        orders = labels.reshape(4, OTHERS)
        np.testing.assert_array_equal(
            np.sort(orders), np.tile(np.arange(OTHERS), (4, 1))
        )
        assert len({order.tobytes() for order in [*orders, np.arange(OTHERS)]}) == 5
    first = read[0]
    assert not np.array_equal(first["unlabelled_label"], first["third_label"])


def test_a_stream_has_the_augmentation_of_its_own_config():
    """The labelled images are cropped, those of the third stream stay as they are."""
    images, expected = next(two_streams()), numbered(OTHERS)
    labels = images["third_label"]
    np.testing.assert_array_equal(images["third_image"], expected.images[labels])
    mirrored = (images["unlabelled_image"][:, 0, 5] == 255).all(axis=1)
    assert 1 < mirrored.sum() < 11
    assert (images["image"] == 0).any()


@pytest.mark.parametrize(("threads", "position"), [(1, 5), (4, 13)])
def test_going_on_from_a_saved_position(threads, position):
    whole = take(two_streams(drop_remainder=False), position + 6)
    first = two_streams(drop_remainder=False, threads=threads)
    check_same(take(first, position), whole[:position])
    assert first.get_state() == {"next_index": position}
    second = two_streams(drop_remainder=False, threads=3)
    second.set_state(first.get_state())
    check_same(take(second, 6), whole[position:])


def test_withheld_labels_are_under_a_name_of_their_own():
    config = data_config()
    view = views.View("plain", largest_square=0.9)
    withheld = pipeline.Stream(
        numbered(OTHERS), config, MANY, labelled=False, withheld=True, view=view
    )
    batch, plain = (
        next(batches(dict(others=withheld))),
        next(batches(dict(others=stream()))),
    )
    seen, kept = pipeline.separated(batch)
    assert {*seen} == {"image", "label", "others_image", "others_second_view"}
    assert {*kept} == {"withheld_others_label"}
    np.testing.assert_array_equal(kept["withheld_others_label"], plain["others_label"])
    np.testing.assert_array_equal(seen["others_image"], plain["others_image"])
    grey = (seen["others_second_view"] == views.GREY).all(-1).sum((1, 2))
    assert (grey > 0).sum() > MANY / 2
    assert len(set(grey)) > 3


def test_the_seed_decides():
    check_same(take(two_streams(seed=3), 3), take(two_streams(seed=3), 3))
    ours, theirs = (next(two_streams(seed=seed)) for seed in (3, 4))
    for name in ("label", "unlabelled_label", "third_label"):
        assert not np.array_equal(ours[name], theirs[name])


def test_two_processes_read_the_rows_of_one():
    """Each reads half of each stream's rows, augmented as in the whole batch."""
    check_two_processes(two_streams, 6)


def test_streams_that_cannot_be_read():
    with pytest.raises(UserError, match="batch_size must be > 0, got 0"):
        pipeline.Stream(numbered(3), data_config(), 0)
    with pytest.raises(UserError, match="split must have examples, got none"):
        pipeline.Stream(numbered(0), data_config(), 4)
