"""The teacher's logits: looked up from a folder as they are computed with each batch."""

import json
import shutil

import numpy as np
import pytest

from configs import digits_distill
from tests.support.commands import metrics_of, result_of, run, train
from tests.support.recipes import other_weights
from tests.train.teachers.conftest import CONFIG
from train.base.errors import UserError
from train.experiment import run as runs
from train.experiment import validation
from train.teachers import cached_logits
from train.teachers.teacher import Teacher

UNCHANGED = "--config.data.crop_padding=0"


class Told:
    """A console that keeps what it is told."""

    def __init__(self):
        self.lines = []

    def print(self, text, **_):
        self.lines.append(text)


def student(path, cache, **changed):
    config = digits_distill.get_config("quick")
    config.data.crop_padding = 0
    config.teacher.path, config.teacher.cache = str(path), str(cache)
    config.evaluation.batch_size = 200
    config.update_from_flattened_dict(changed)
    return runs.build(config)


def opened(run_):
    told = Told()
    found = cached_logits.of(run_, told, between=lambda: None)
    return found, told.lines


def test_a_row_an_example_in_the_order_of_the_training_part(tmp_path):
    path = other_weights(tmp_path / "weights.npz")
    run_ = student(path, tmp_path / "cache")
    found, told = opened(run_)
    assert "1,437 examples" in told[0]
    logits = found.columns["teacher_logits"]
    assert logits.shape == (1437, 10)
    rows = np.array([0, 7, 199, 200, 201, 1400, 1435, 1436])
    expected = Teacher.of(run_).logits(run_.data.train.take(rows)["image"])
    np.testing.assert_allclose(logits[rows], expected, rtol=1e-5, atol=1e-6)
    assert {file.name for file in (tmp_path / "cache").iterdir()} == {
        "logits.npy", "about.json",
    }  # fmt: skip
    again, told = opened(run_)
    assert told == []
    np.testing.assert_array_equal(again.columns["teacher_logits"], logits)


def test_what_was_begun_and_not_finished_is_computed_again(tmp_path):
    run_ = student(other_weights(tmp_path / "weights.npz"), tmp_path / "cache")
    calls = []

    def stop():
        calls.append(None)
        if len(calls) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached_logits.of(run_, Told(), between=stop)
    assert not (tmp_path / "cache" / "about.json").exists()
    found, told = opened(run_)
    assert len(told) == 1
    assert np.isfinite(found.columns["teacher_logits"]).all()


def test_other_teachers_data_types_and_damage_are_refused(tmp_path):
    path, cache = other_weights(tmp_path / "weights.npz"), tmp_path / "cache"
    opened(student(path, cache))
    other = other_weights(tmp_path / "wider.npz", name="wide_resnet_10_1")
    for run_, message in (
        (student(other, cache), "are of another teacher: it was"),
        (student(path, cache, **{"data.validation_size": 10}), "another training part"),
        (student(path, cache, **{"teacher.dtype": "bfloat16"}), "another dtype"),
        (student(path, cache, **{"model.classes_multiple_of": 8}), "another shape"),
    ):
        with pytest.raises(UserError, match=message):
            opened(run_)
    content = bytearray((cache / "logits.npy").read_bytes())
    content[500] ^= 1
    (cache / "logits.npy").write_bytes(content)
    with pytest.raises(UserError, match=r"logits.npy is damaged; delete .*cache"):
        opened(student(path, cache))
    (cache / "logits.npy").write_bytes(content[:1000])
    with pytest.raises(UserError, match="logits.npy cannot be read"):
        opened(student(path, cache))


def test_a_folder_of_other_files_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    run_ = student(other_weights(tmp_path / "weights.npz"), tmp_path)
    with pytest.raises(
        UserError, match=r"folder of its own, got .*, which holds notes"
    ):
        opened(run_)


def test_augmented_images_have_no_logits_to_keep(tmp_path):
    config = digits_distill.get_config("quick")
    config.teacher.path, config.teacher.cache = "teacher", str(tmp_path)
    with pytest.raises(
        UserError, match="must be empty where data.crop_padding changes"
    ):
        validation.validate(config)
    config.data.crop_padding, config.data.image_size = 0, 64
    config.data.random_resized_crop = True
    with pytest.raises(UserError, match=r"where data.random_resized_crop changes"):
        validation.validate(config)
    config.data.random_resized_crop, config.data.undecodable = False, "skip"
    with pytest.raises(UserError, match=r"data.undecodable must be error with it"):
        validation.validate(config)
    config.recipe, config.teacher.path = "supervised", ""
    with pytest.raises(UserError, match="teacher.cache needs a teacher.path"):
        validation.validate(config)


@pytest.mark.slow
def test_a_run_that_looks_up_is_the_run_that_computes(teacher, tmp_path):
    """Through the command line, and killed in the middle of it."""
    config, cache = f"{CONFIG}:quick", tmp_path / "cache"
    taught = f"--config.teacher.path={teacher}"
    kept = f"--config.teacher.cache={cache}"
    train(tmp_path / "computes", UNCHANGED, taught, config=config)
    train(tmp_path / "looks_up", UNCHANGED, taught, kept, config=config)
    computed, looked_up = (
        metrics_of(tmp_path / name) for name in ("computes", "looks_up")
    )
    for a, b in zip(computed, looked_up, strict=True):
        for name in a:
            # Batches of another size are summed in another order.
            np.testing.assert_allclose(a[name], b[name], rtol=1e-4, atol=1e-5)
    before = (cache / "logits.npy").stat().st_mtime_ns
    train(tmp_path / "next", UNCHANGED, taught, kept, config=config)
    assert (cache / "logits.npy").stat().st_mtime_ns == before
    results = [result_of(tmp_path / name) for name in ("looks_up", "next")]
    assert results[0]["natural_accuracy"] == results[1]["natural_accuracy"]

    shutil.copytree(cache, tmp_path / "moved")
    about = json.loads((tmp_path / "moved" / "about.json").read_text())
    about["teacher"] = "00000000"
    (tmp_path / "moved" / "about.json").write_text(json.dumps(about))
    done = run(
        f"--config={config}", f"--workdir={tmp_path / 'other'}", UNCHANGED, taught,
        f"--config.teacher.cache={tmp_path / 'moved'}",
    )  # fmt: skip
    assert done.returncode == 1
    assert "are of another teacher: it was 00000000, now it is" in done.stderr
    assert done.stderr.count("\n") == 1
