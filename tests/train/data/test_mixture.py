"""Batches that mix real and synthetic images."""

import json
from functools import partial

import numpy as np
import pytest

from configs import base
from tests.support.batches import check_same, check_two_processes, take
from tests.support.parts import convert, write_part
from train.data import mixture, pipeline
from train.data.fingerprint import fingerprint
from train.data.formats import shards
from train.data.splits import DataSet, InMemory

SHAPE = (4, 4, 1)

REAL, SYNTHETIC = 1000, 1100  # multiples of their rows in a batch of 16: 5 and 11


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("generated")
    labels = np.arange(SYNTHETIC) % 10
    write_part(folder / "part.npz", images_of(SYNTHETIC, 1), labels)
    output = folder / "shards"
    assert convert(folder / "part.npz", output, examples_per_shard=300) == 0
    return shards.open_shards(str(output))


def numbered():
    return InMemory(images_of(REAL, 0), np.arange(REAL, dtype=np.int32) % 10)


def images_of(count, kind):
    """The first pixels of each say its number, in two bytes, and its kind."""
    images = np.zeros((count, *SHAPE), np.uint8)
    images[:, 0, 0, 0], images[:, 0, 1, 0] = np.divmod(np.arange(count), 256)
    images[:, 0, 2, 0] = kind
    return images


def batches(generated, *, batch_size=16, seed=0, rows=pipeline.all_rows, **changed):
    config = base.get_config().data
    config.update(changed)
    return pipeline.training_batches(
        numbered(), config, batch_size=batch_size, seed=seed, rows=rows,
        synthetic=generated,
    )  # fmt: skip


def numbers(read):
    """Of the real and of the synthetic examples, in the order in which they came."""
    pixels = np.concatenate([batch["image"] for batch in read])[:, 0, :3, 0].astype(int)
    found, is_synthetic = 256 * pixels[:, 0] + pixels[:, 1], pixels[:, 2] == 1
    return found[~is_synthetic], found[is_synthetic]


def kinds(batch):
    return batch["image"][:, 0, 2, 0]


@pytest.mark.parametrize(
    ("ratio", "expected", "count"),
    [(0.7, 11, 1000), (0.5, 8, 100), (0.0, 0, 100), (1.0, 16, 100)],
)
def test_the_ratio_is_exact_in_every_batch(generated, ratio, expected, count):
    iterator = batches(generated, synthetic_ratio=ratio)
    for batch in take(iterator, count):
        assert batch["image"].shape == (16, *SHAPE)
        assert kinds(batch).sum() == expected
        real, theirs = numbers([batch])
        assert (real % 10).tolist() == batch["label"][kinds(batch) == 0].tolist()
        assert (theirs % 10).tolist() == batch["label"][kinds(batch) == 1].tolist()


def test_the_published_batch():
    assert mixture.Counts.of(512, 0.7) == (154, 358)
    assert mixture.Counts.of(64, 0.7) == (19, 45)  # of 44.8


def test_each_stream_is_one_permutation_after_another(generated):
    real, theirs = numbers(take(batches(generated), 400))
    for stream, count, passes in ((real, REAL, 2), (theirs, SYNTHETIC, 4)):
        orders = stream.reshape(passes, count)
        np.testing.assert_array_equal(
            np.sort(orders), np.tile(np.arange(count), (passes, 1))
        )
        begins = {frozenset(order[: count // 5]) for order in orders}
        assert len(begins | {frozenset(range(count // 5))}) == passes + 1


def test_rows_are_shuffled_anew_in_each_batch(generated):
    """Each half of a batch, as of two devices, gets its share of synthetic rows."""
    read = take(batches(generated, batch_size=32), 200)  # 22 synthetic rows of 32
    found = np.stack([kinds(batch) for batch in read])
    assert len({row.tobytes() for row in found}) > 190
    assert (abs(found.mean(axis=0) - 22 / 32) < 0.15).all()
    in_halves = found.reshape(-1, 2, 16).sum(-1)
    assert in_halves.min() >= 5
    assert in_halves.mean() == 11


def test_the_seed_decides(generated):
    check_same(take(batches(generated, seed=3), 5), take(batches(generated, seed=3), 5))
    ours, theirs = (
        np.concatenate(numbers(take(batches(generated, seed=seed), 5)))
        for seed in (3, 4)
    )
    assert not np.array_equal(ours, theirs)


@pytest.mark.parametrize(("threads", "position"), [(1, 8), (4, 397)])
def test_going_on_from_a_saved_position(generated, threads, position):
    """The state is one number, as JSON keeps it, and no batch before it is read."""
    augmented = dict(crop_padding=1, flip=True)
    whole = take(batches(generated, **augmented), position + 7)
    first = batches(generated, threads=threads, **augmented)
    take(first, position)
    state = json.loads(json.dumps(first.get_state()))
    assert state == {"next_index": position}
    second = batches(generated, threads=3, **augmented)
    second.set_state(state)
    check_same(take(second, 7), whole[position:])


@pytest.mark.parametrize("ratio", [0.7, 1.0])
def test_two_processes_read_the_rows_of_one(generated, ratio):
    changed = dict(crop_padding=1, flip=True, synthetic_ratio=ratio)
    check_two_processes(partial(batches, generated, **changed), 30)


@pytest.mark.parametrize(
    ("augmented", "expected"),
    [(dict(crop_padding=4), 1 / 81), (dict(flip=True), 1 / 2)],
)
def test_synthetic_rows_are_augmented(generated, augmented, expected):
    """No image is symmetric; so many stay as they are by chance."""
    read = take(batches(generated, synthetic_ratio=1.0, **augmented), 200)
    plain = take(batches(generated, synthetic_ratio=1.0), 200)
    same = [
        (ours["image"] == theirs["image"]).all((1, 2, 3)).mean()
        for ours, theirs in zip(read, plain, strict=True)
    ]
    assert np.mean(same) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize(
    ("drop_remainder", "sizes"), [(True, [16] * 62), (False, [16] * 63)]
)
def test_an_epoch_is_as_long_as_that_of_the_real_examples(drop_remainder, sizes):
    config = base.get_config()
    config.data.drop_remainder = drop_remainder
    config.data.synthetic = "somewhere"
    assert pipeline.batch_sizes(numbered(), config.data, 16) == sizes


def data_set(**changed):
    return DataSet(numbered(), numbered(), 10, SHAPE, **changed)


def test_the_fingerprint_is_of_the_content(generated, tmp_path):
    """Not of the folder, the parts' names or the shards' size."""
    plain, mixed = fingerprint(data_set()), fingerprint(data_set(synthetic=generated))
    assert mixed.startswith(f"{plain}+1100 synthetic (")
    batch = generated.take(np.arange(SYNTHETIC))
    images, labels = batch["image"], batch["label"].astype(np.int64)

    def of(name, labels):
        part = tmp_path / f"{name}.npz"
        write_part(part, images, labels, compressed=True)
        assert convert(part, tmp_path / name, examples_per_shard=700) == 0
        found = shards.open_shards(str(tmp_path / name))
        return fingerprint(data_set(synthetic=found))

    assert of("same", labels) == mixed
    labels[17] += 1
    assert of("other", labels) != mixed
