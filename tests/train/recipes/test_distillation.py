"""The distillation recipe: its losses, its step, its teachers, its command line."""

import dataclasses
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import base, digits_distill
from ikl_jax import models
from tests.conftest import cases
from tests.support.commands import metrics_of, result_of, run, train
from tests.train.recipes.test_recipes import (
    STEPS_PER_EPOCH,
    assert_trees_close,
    batch,
    make,
)
from train.base.errors import UserError
from train.experiment import run as runs
from train.networks import classes, converted
from train.recipes import distillation
from train.recipes.distillation import Part
from train.teachers.teacher import Teacher

CONFIG = "configs/digits_distill.py"
LOSSES = ("kd", "dkd", "dkl", "ikl", "gkl")
BATCHES = (
    "B16_C100_s4", "B1_C2_s1", "B2_C1000_s6", "B4_C3_s1", "B8_C10_s1", "B8_C10_s30",
)  # fmt: skip


def golden_cases(golden):
    prefixes = ("kd", "dkd", "ikl_kd", "gkl_kd")
    known = {tuple(key.split("/")[:2]) for key in golden if key.count("/") == 2}
    return sorted(case for case in known if case[1].startswith(prefixes))


def loss_config(**changed):
    config = base.get_config().loss
    config.update(changed)
    return config


def test_there_are_golden_cases_of_all_batches(golden_losses):
    assert {batch_name for batch_name, _ in golden_cases(golden_losses)} == {*BATCHES}
    assert len(golden_cases(golden_losses)) > 80


@pytest.mark.parametrize("batch_name", cases(BATCHES, quick=["B8_C10_s1"]))
def test_golden_losses_through_the_recipe(golden_losses, x64, batch_name):
    kinds = [kind for name, kind in golden_cases(golden_losses) if name == batch_name]
    for kind in kinds:
        given = {
            field: float(golden_losses[f"{batch_name}/{kind}/{field}"])
            for field in ("alpha", "beta", "gamma", "temperature", "weight_temperature")
            if f"{batch_name}/{kind}/{field}" in golden_losses
        }
        config = loss_config(name=kind.split("_")[0], **given)
        n, m, labels, rows = (
            jnp.asarray(golden_losses[f"{batch_name}/{field}"])
            for field in ("logits_n", "logits_m", "labels", "class_weights")
        )
        example = {"teacher_logits": m, "label": labels}
        weights = distillation._weights(config, None, example)
        if "_class_" in kind:
            weights = rows

        def loss(n, m, labels=labels, weights=weights, config=config):
            part = Part(jnp.zeros(()), labels, m, weights)
            return distillation.create(config)(n, part).mean()

        value, (to_student, to_teacher) = jax.value_and_grad(loss, (0, 1))(n, m)
        prefix = f"{batch_name}/{kind}"
        for ours, name in ((value, "value"), (to_student, "grad_n")):
            expected = golden_losses[f"{prefix}/{name}"]
            atol = 1e-9 * np.abs(expected).max() + 1e-15
            np.testing.assert_allclose(
                ours, expected, rtol=0, atol=atol, err_msg=f"{prefix}/{name}"
            )
        assert not np.any(to_teacher)


def taught(count=16, seed=0):
    logits = jax.random.normal(jax.random.key(seed), (count, 4))
    return batch(count) | {"teacher_logits": 3 * logits}


@pytest.mark.long
@pytest.mark.parametrize("weights", ["sample", "class_means"])
@pytest.mark.parametrize("name", ["ikl", "gkl"])
def test_the_squared_error_alone_moves_the_student_not_the_teacher(name, weights):
    fields = dict(
        loss__name=name, loss__weights=weights, loss__beta=0.0,
        loss__cross_entropy=0.0, loss__warmup_epochs=0,
        optimizer__weight_decay=0.0,
    )  # fmt: skip
    recipe, _ = make(name="distillation", **fields)
    start = recipe.init(jax.random.key(0))

    state, _ = recipe.step(start, taught())
    changes = jax.tree.map(
        lambda a, b: jnp.max(jnp.abs(a - b)), state.params, start.params
    )
    assert max(jax.tree.leaves(changes)) > 1e-4

    loss = distillation.create(loss_config(name=name, beta=0.0))
    n, m = jax.random.normal(jax.random.key(1), (2, 16, 4))

    def of(n, m):
        part = Part(jnp.zeros(()), jnp.zeros(16, int), m, jax.nn.softmax(m))
        return loss(n, part).mean()

    to_student, to_teacher = jax.grad(of, (0, 1))(n, m)
    assert np.abs(to_student).max() > 1e-3
    assert not np.any(to_teacher)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("weights", ["sample", "class_means"])
def test_a_batch_in_parts_makes_the_step_of_the_whole(name, weights):
    fields = dict(loss__name=name, loss__weights=weights, loss__gamma=0.5)
    whole, parts = (
        make(name="distillation", accumulate=count, **fields)[0] for count in (1, 4)
    )
    states = [r.step(r.init(jax.random.key(0)), taught()) for r in (whole, parts)]
    assert_trees_close(states[1][0].params, states[0][0].params, atol=1e-6)
    assert_trees_close(states[1][1], states[0][1], rtol=1e-5, atol=1e-6)


def test_warmup_is_a_share_an_epoch():
    recipe, _ = make(
        name="distillation", loss__name="kd", loss__warmup_epochs=4, loss__strength=0.5,
        loss__cross_entropy=0.1,
    )  # fmt: skip
    start = recipe.init(jax.random.key(0))
    for epoch, share in ((0, 0.25), (1, 0.5), (3, 1), (9, 1)):
        state = start.replace(step=jnp.int32(epoch * STEPS_PER_EPOCH))
        _, metrics = recipe.step(state, taught())
        expected = 0.1 * metrics["cross_entropy"]
        expected += 0.5 * share * metrics["distillation"]
        np.testing.assert_allclose(metrics["loss"], expected, rtol=1e-5)


def test_the_class_means_are_the_teachers():
    recipe, task = make(name="distillation", loss__name="ikl")
    data = taught()
    state, _ = recipe.step(recipe.init(jax.random.key(0)), data)
    means = recipe.end_epoch(state).class_means
    temperature = task.config.loss.weight_temperature
    probabilities = jax.nn.softmax(data["teacher_logits"] / temperature)
    for label in np.unique(data["label"]):
        expected = np.asarray(probabilities)[np.asarray(data["label"]) == label].mean(0)
        np.testing.assert_allclose(means.mean[label], expected, atol=1e-6)


def test_logits_are_fitted_to_another_padding():
    logits = jnp.arange(8.0).reshape(2, 4)
    wider = classes.fitted(logits, 3, 6)
    assert wider.shape == (2, 6)
    np.testing.assert_array_equal(wider[:, :3], logits[:, :3])
    np.testing.assert_array_equal(wider[:, 3:], classes.PADDING_LOGIT)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher") / "run"
    train(folder, config=f"{CONFIG}:teacher,quick")
    return folder


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


def other_weights(path, num_classes=10, name="cnn", class_names=None):
    model = models.create(name, num_classes)
    variables = model.init(jax.random.key(3), jnp.zeros((1, 8, 8, 1)))
    written = converted.Converted(name, num_classes, None, variables, class_names)
    converted.write(path, written)
    return path


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


def test_a_teacher_that_goes_on_with_more_epochs_is_not_one_yet(teacher, tmp_path):
    shutil.copytree(teacher, tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    path.write_text(path.read_text().replace('"epochs": 1,', '"epochs": 2,'))
    config = digits_distill.get_config("quick")
    config.teacher.path = str(tmp_path / "run")
    with pytest.raises(UserError, match="has not finished"):
        Teacher.of(runs.build(config))


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
