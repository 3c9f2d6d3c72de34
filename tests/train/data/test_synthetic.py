"""Batches that mix real and synthetic images, and runs on them."""

import json
import shutil

import numpy as np
import pytest

from configs import base
from tests.support.commands import metrics_of, result_of, run, train
from tests.support.parts import convert, converted, examples, write_part
from train import cli, evaluate
from train.base.errors import UserError
from train.data import mixture, pipeline
from train.data.fingerprint import fingerprint
from train.data.formats import shards
from train.data.splits import DataSet, InMemory

CONFIG = "configs/digits_ikl_at.py:natural,quick"
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


def take(iterator, count):
    return [next(iterator) for _ in range(count)]


def numbers(read):
    """Of the real and of the synthetic examples, in the order in which they came."""
    pixels = np.concatenate([batch["image"] for batch in read])[:, 0, :3, 0].astype(int)
    found, is_synthetic = 256 * pixels[:, 0] + pixels[:, 1], pixels[:, 2] == 1
    return found[~is_synthetic], found[is_synthetic]


def kinds(batch):
    return batch["image"][:, 0, 2, 0]


def check_same(read, expected):
    for ours, theirs in zip(read, expected, strict=True):
        assert ours.keys() == theirs.keys()
        for name, array in theirs.items():
            np.testing.assert_array_equal(ours[name], array)


@pytest.mark.parametrize(
    ("ratio", "expected"), [(0.7, 11), (0.5, 8), (0.0, 0), (1.0, 16)]
)
def test_the_ratio_is_exact_in_a_thousand_batches(generated, ratio, expected):
    iterator = batches(generated, synthetic_ratio=ratio)
    for batch in take(iterator, 1000):
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


@pytest.mark.parametrize(("threads", "position"), [(1, 8), (4, 997)])
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
    halves = [
        batches(
            generated, **changed,
            rows=lambda size, part=part: np.array_split(np.arange(size), 2)[part],
        )
        for part in range(2)
    ]  # fmt: skip
    whole = batches(generated, **changed)
    for _ in range(30):
        expected, parts = next(whole), [next(half) for half in halves]
        for name, array in expected.items():
            together = np.concatenate([part[name] for part in parts])
            np.testing.assert_array_equal(together, array)
        assert halves[0].get_state() == halves[1].get_state() == whole.get_state()


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


def joined(folder, **changed):
    config = base.get_config()
    config.data.synthetic = str(folder)
    config.update(changed)
    return mixture.joined(data_set(), config.data, config.batch_size)


def test_folders_that_do_not_fit(tmp_path):
    ours, *_ = converted(tmp_path / "a", (400,), shape=SHAPE)
    folder = tmp_path / "a" / "shards"
    assert len(joined(folder, batch_size=512).synthetic) == len(ours)
    message = r"holds 400 images, but each batch of 575 takes 402 .*ratio=0.7\)"
    with pytest.raises(UserError, match=message):
        joined(folder, batch_size=575)
    converted(tmp_path / "b", (20,), shape=(4, 5, 1))
    message = r"holds images \(4, 5, 1\) of 10 classes, but .* are \(4, 4, 1\) of 10"
    with pytest.raises(UserError, match=message):
        joined(tmp_path / "b" / "shards", batch_size=1)
    write_part(tmp_path / "c.npz", *examples(20, shape=SHAPE))
    convert(tmp_path / "c.npz", tmp_path / "c", num_classes=11)
    with pytest.raises(UserError, match=r"of 11 classes, but those of .* of 10"):
        joined(tmp_path / "c", batch_size=1)


def test_folders_that_are_none_or_damaged(tmp_path):
    with pytest.raises(
        UserError, match=r"got '/nowhere', which holds no metadata.json"
    ):
        joined("/nowhere")
    converted(tmp_path, (100,), shape=SHAPE)
    folder = tmp_path / "shards"
    shard, metadata = next(folder.glob("*.array_record")), folder / "metadata.json"
    content, told = bytearray(shard.read_bytes()), metadata.read_text()
    for change in ('"format": 1', '"format": 2'), ('"count"', '"counts"'), ("[", "{"):
        metadata.write_text(told.replace(*change))
        with pytest.raises(
            UserError, match=r"metadata.json (is not one|cannot be read)"
        ):
            joined(folder)
    metadata.write_text(told)
    shard.write_bytes(content[: len(content) // 2])
    with pytest.raises(
        UserError, match=r"array_record is damaged: 0 records; delete it"
    ):
        joined(folder)
    content[content.index(examples(100, shape=SHAPE)[0][0].tobytes())] ^= 1
    shard.write_bytes(content)
    found = shards.open_shards(str(folder))
    with pytest.raises(UserError, match=r"array_record is damaged: .*hash mismatch"):
        found.take(np.arange(100))
    shard.unlink()
    with pytest.raises(UserError, match="lacks 1 of its 1 shards"):
        joined(folder)


BAD = {
    "ratio": (["synthetic_ratio=1.5"], "data.synthetic_ratio must lie in [0, 1], got 1.5"),
    "negative ratio": (["synthetic_ratio=-0.1"], "must lie in [0, 1], got -0.1"),
    "folder": (["synthetic=/nowhere"], "data.synthetic must be a folder that"),
    "crop": (
        ["synthetic=x", "random_resized_crop=True", "image_size=8", "crop_padding=0"],
        "data.random_resized_crop cuts encoded images",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_configs(name, tmp_path, capsys):
    fields, message = BAD[name]
    workdir = tmp_path / "run"
    arguments = [f"--config.data.{field}" for field in fields]
    config = "--config=configs/digits_ikl_at.py:quick"
    assert cli.main(["train", config, f"--workdir={workdir}", *arguments]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not workdir.exists()


def test_a_cache_of_logits_is_refused(tmp_path, capsys):
    arguments = (
        "--config=configs/digits_distill.py:loss=ikl", f"--workdir={tmp_path / 'run'}",
        "--config.teacher.path=x", "--config.teacher.cache=y",
        "--config.data.crop_padding=0", "--config.data.synthetic=z",
    )  # fmt: skip
    assert cli.main(["train", *arguments]) == 1
    assert "must be empty with data.synthetic, got 'y'" in capsys.readouterr().err


@pytest.mark.long
def test_a_run(tmp_path):
    """From the command line; gone on with, and at last evaluated without the folder."""
    converted(tmp_path, (60, 40))
    real, (images, labels) = tmp_path / "real.npz", examples(88, seed=9)
    names = ("x_train", "y_train", "x_test", "y_test")
    arrays = (images[:72], labels[:72], images[72:], np.arange(16) % 10)
    np.savez(real, **dict(zip(names, arrays, strict=True)))
    fields = {
        "data.source": f"npz:{real}", "data.synthetic": tmp_path / "shards",
        "data.drop_remainder": False, "data.flip": True, "batch_size": 32,
        "evaluation.steps": 1, "evaluation.batch_size": 16, "log_every": 1,
    }  # fmt: skip
    overrides = [f"--config.{name}={value}" for name, value in fields.items()]
    workdir = tmp_path / "run"
    train(workdir, *overrides, config=CONFIG)
    result = result_of(workdir)
    assert result["steps"] == 6  # 3 batches of 32, the third whole, in 2 epochs
    assert result["synthetic"] == {"images": 100, "ratio": 0.7}
    # Back to the middle, as after a kill, with other images where the shards were.
    whole = metrics_of(workdir)
    shutil.rmtree(workdir / "checkpoints" / "6")
    (workdir / "result.json").unlink()
    shards, kept = tmp_path / "shards", tmp_path / "kept"
    shards.rename(kept)
    assert convert(tmp_path / "parts" / "0.npz", shards) == 0
    done = run(f"--config={CONFIG}", f"--workdir={workdir}", *overrides)
    assert done.returncode == 1
    assert "the data set has changed since step 3 was saved" in done.stderr
    shutil.rmtree(shards)
    kept.rename(shards)
    train(workdir, *overrides, config=CONFIG)
    assert metrics_of(workdir) == whole
    shards.rename(kept)
    assert evaluate.main(["evaluate", f"--workdir={workdir}", "--steps=1"]) == 0
