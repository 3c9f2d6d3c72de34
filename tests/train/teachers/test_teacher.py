"""Teachers of the distillation recipe: which can be, and students of them."""

import dataclasses
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import train.networks.model
from configs import digits_distill
from ikl_jax import models
from tests.conftest import cases
from tests.support.commands import metrics_of, result_of, run, train
from tests.support.recipes import (
    other_weights,
)
from tests.train.teachers.conftest import CONFIG
from train.base.errors import UserError
from train.experiment import run as runs
from train.networks import classes, converted
from train.teachers.teacher import Teacher

LOSSES = ("kd", "dkd", "dkl", "ikl", "gkl")


def test_logits_are_fitted_to_another_padding():
    logits = jnp.arange(8.0).reshape(2, 4)
    wider = classes.fitted(logits, 3, 6)
    assert wider.shape == (2, 6)
    np.testing.assert_array_equal(wider[:, :3], logits[:, :3])
    np.testing.assert_array_equal(wider[:, 3:], classes.PADDING_LOGIT)


@pytest.mark.long
@pytest.mark.parametrize("loss", cases(LOSSES, quick=["ikl"]))
def test_every_loss_through_the_command_line(teacher, tmp_path, loss):
    train(
        tmp_path / "run", f"--config.teacher.path={teacher}",
        config=f"{CONFIG}:loss={loss},quick",
    )  # fmt: skip
    assert result_of(tmp_path / "run")["steps"] == 22
    lines = [line for line in metrics_of(tmp_path / "run") if "distillation" in line]
    assert np.isfinite([line["distillation"] for line in lines]).all()


@pytest.mark.long
def test_a_teacher_in_bfloat16_and_one_converted(teacher, tmp_path):
    config = digits_distill.get_config("quick")
    config.teacher.path = str(teacher)
    student = runs.build(config)
    ours = Teacher.of(student)
    opened = runs.reopen(teacher)
    weights = runs.newest_state(opened, teacher, print).evaluated
    path = tmp_path / "teacher.npz"
    name = opened.config.model.name
    converted.write(path, converted.Converted(name, 10, None, weights.variables))
    images = student.data.test.take(np.arange(8))["image"]
    expected = models.create(name, 10).apply(
        weights.variables, images.astype(np.float32) / 255
    )
    config.teacher.path = str(path)
    stored = Teacher.of(student)
    assert stored.digest == ours.digest
    for one in (ours, stored):
        np.testing.assert_allclose(one.logits(images), expected, rtol=1e-5, atol=1e-5)
    config.teacher.dtype = "bfloat16"
    half = Teacher.of(student).logits(images)
    assert half.dtype == jnp.float32
    np.testing.assert_allclose(half, expected, atol=0.1 * np.abs(expected).max())
    assert np.abs(half - expected).max() > 0


@pytest.mark.long
def test_teachers_that_cannot_be(teacher, tmp_path):
    config = digits_distill.get_config("quick")
    with pytest.raises(UserError, match="teacher.path must name"):
        runs.build(config)
    config.teacher.path = str(tmp_path / "none")
    student = runs.build(config)
    with pytest.raises(UserError, match="neither folder nor file"):
        Teacher.of(student)
    config.teacher.path = str(tmp_path)  # a folder, of no run
    with pytest.raises(UserError, match="holds no run"):
        Teacher.of(student)
    unfinished = tmp_path / "unfinished"
    shutil.copytree(teacher, unfinished)
    (unfinished / "result.json").unlink()
    config.teacher.path = str(unfinished)
    with pytest.raises(UserError, match="has not finished"):
        Teacher.of(student)
    (unfinished / "result.json").write_text('{"epochs": 1}')
    shutil.rmtree(unfinished / "checkpoints")
    with pytest.raises(UserError, match="holds no checkpoint"):
        Teacher.of(student)
    damaged = other_weights(tmp_path / "nan.npz", scale=float("nan"))
    config.teacher.path = str(damaged)
    with pytest.raises(
        UserError, match=r"nan\.npz: the weights are not finite: .*bias"
    ):
        Teacher.of(student)
    config.teacher.path = str(other_weights(tmp_path / "seven.npz", 7))
    with pytest.raises(UserError, match="has 7 classes, digits has 10"):
        Teacher.of(student)


def test_the_order_of_the_classes_must_be_the_teachers(tmp_path):
    names = tuple("abcdefghij")
    swapped = ("a", "c", "b", *names[3:])
    config = digits_distill.get_config("quick")
    config.teacher.path = str(
        other_weights(tmp_path / "teacher.npz", class_names=swapped)
    )
    student = runs.build(config)
    assert Teacher.of(student) is not None  # digits' classes have no names
    for own, message in (
        (swapped, None),
        (names, r"class 1 is 'c' in .*teacher.npz and 'b' in digits"),
    ):
        data = dataclasses.replace(student.data, class_names=own)
        named = dataclasses.replace(student, data=data)
        if message is None:
            assert Teacher.of(named) is not None
        else:
            with pytest.raises(UserError, match=message):
                Teacher.of(named)


def test_what_the_weights_do_not_tell_is_in_the_digest(tmp_path):
    config = digits_distill.get_config("quick")
    config.teacher.path = str(tmp_path / "teacher.npz")
    student = runs.build(config)
    model = models.create("wide_resnet_10_1", 10)
    variables = model.init(jax.random.key(0), jnp.zeros((1, 8, 8, 1)))
    digests = {}
    for name, normalize in (
        ("wide_resnet_10_1", None),
        ("wide_resnet_10_1", ((0.5,), (0.25,))),
        ("wide_resnet_swish_10_1", ((0.5,), (0.25,))),
    ):
        written = converted.Converted(name, 10, normalize, variables)
        converted.write(tmp_path / "teacher.npz", written)
        digests[name, normalize] = Teacher.of(student).digest
    assert len(set(digests.values())) == 3


@pytest.mark.long
def test_a_teacher_that_goes_on_with_more_epochs_is_not_one_yet(teacher, tmp_path):
    shutil.copytree(teacher, tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    path.write_text(path.read_text().replace('"epochs": 1,', '"epochs": 2,'))
    config = digits_distill.get_config("quick")
    config.teacher.path = str(tmp_path / "run")
    with pytest.raises(UserError, match="has not finished"):
        Teacher.of(runs.build(config))


@pytest.mark.long
def test_a_teacher_of_another_padding_on_a_mesh_that_divides_classes(teacher):
    config = digits_distill.get_config("quick")
    config.teacher.path = str(teacher)
    images = runs.build(config).data.test.take(np.arange(8))["image"]
    alone = Teacher.of(runs.build(config)).logits(images)
    config.mesh, config.model.classes_multiple_of = (2, 4), 4
    padded = Teacher.of(runs.build(config)).logits(images)
    assert padded.shape == (8, 12)
    np.testing.assert_allclose(padded[:, :10], alone, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_another_teacher_is_refused_when_a_run_goes_on(teacher, tmp_path):
    workdir = tmp_path / "run"
    config = f"{CONFIG}:quick"
    train(workdir, f"--config.teacher.path={teacher}", config=config)
    other = other_weights(tmp_path / "other.npz")
    done = run(
        f"--config={config}", f"--workdir={workdir}", "--config.epochs=2",
        f"--config.teacher.path={other}",
    )  # fmt: skip
    assert done.returncode == 1
    assert "the teacher has changed since step 22" in done.stderr
    train(
        workdir, f"--config.teacher.path={teacher}", "--config.epochs=2", config=config
    )
    assert result_of(workdir)["steps"] == 44
