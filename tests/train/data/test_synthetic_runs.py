"""Runs that mix in synthetic images, from the command line."""

import shutil

import numpy as np
import pytest

from configs import digits_ikl_at
from tests.support.commands import metrics_of, result_of, run, train
from tests.support.parts import convert, converted, examples, write_part
from train import cli, evaluate
from train.experiment import run as runs

CONFIG = "configs/digits_ikl_at.py:natural,quick"

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


def test_each_batch_has_its_share_of_labelled_and_of_other_images(tmp_path):
    """With few labels: the real rows are those of labelled examples alone."""
    others = np.full((40, 8, 8, 1), 255, np.uint8)
    write_part(tmp_path / "part.npz", others, np.full(40, 3))
    assert convert(tmp_path / "part.npz", tmp_path / "shards") == 0
    config = digits_ikl_at.get_config("natural,quick")
    config.data.update(
        dict(num_labels=20, synthetic=str(tmp_path / "shards"), synthetic_ratio=0.5,
             crop_padding=0, flip=False)
    )  # fmt: skip
    config.batch_size, config.steps_per_epoch = 48, 2  # more than the labelled ones
    built = runs.build(config)
    labelled = built.data.train.take(np.arange(20))
    known = {
        image.tobytes(): label for image, label in zip(*labelled.values(), strict=True)
    }
    batches = built.training_batches()
    for _ in range(5):
        batch = next(batches)
        mixed = (batch["image"] == 255).all((1, 2, 3))
        assert (mixed.sum(), len(mixed)) == (24, 48)
        assert (batch["label"][mixed] == 3).all()
        real = batch["image"][~mixed], batch["label"][~mixed]
        assert all(
            known[image.tobytes()] == label for image, label in zip(*real, strict=True)
        )


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
