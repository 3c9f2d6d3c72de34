"""Runs of the published distillation configs: all pairs traced, `quick` forms run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import cifar100_distill, imagenet_distill, imagenet_lt_distill
from ikl_jax import models
from tests.conftest import case_rows, write_idx
from tests.support import folders
from tests.support.commands import result_of, train
from tests.support.tfds_data import tfds_builder
from tests.train.data.formats import test_imagenet
from train.experiment import run as runs
from train.networks import converted

CIFAR = "configs/cifar100_distill.py"


IMAGENET = "configs/imagenet_distill.py"


IMAGENET_LT = "configs/imagenet_lt_distill.py"


LOSSES = {
    CIFAR: ("kd", "dkd", "ikl", "gkl"),
    IMAGENET: ("kd", "dkd", "ikl", "gkl"),
    IMAGENET_LT: ("kd", "ikl", "gkl"),
}


MODULES = {
    CIFAR: cifar100_distill,
    IMAGENET: imagenet_distill,
    IMAGENET_LT: imagenet_lt_distill,
}


ALL = [
    (config, pair, loss)
    for config, losses in LOSSES.items()
    for pair in MODULES[config].PAIRS
    for loss in losses
]


# Each pair once; the losses differ in numbers alone, which a test of their own compares.
QUICK = [(config, pair, "ikl") for config, pair, _ in ALL]


@pytest.fixture(scope="module")
def cifar100(tmp_path_factory):
    """TFDS's cifar100, as it lies on disk, of 32 images to train and 16 to test."""
    folder = tmp_path_factory.mktemp("tfds")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (48, 32, 32, 3), np.uint8)
    builder = tfds_builder(
        folder, images, np.arange(48) % 100, name="cifar100", version="3.0.2",
        classes=100, train=32,
    )  # fmt: skip
    builder.download_and_prepare()
    return [f"--config.data.data_dir={folder}"]


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory):
    """Folders of four classes, of 48 images to train and 16 to validate."""
    folder = tmp_path_factory.mktemp("imagenet")
    folders.write(folder, train=12, test=4, classes=("n0", "n1", "n2", "n3"))
    return folder


def overrides(config, imagenet, tmp_path):
    """Where the generated data is, for a config that takes folders."""
    given = [f"--config.data.source=folder:{imagenet}", "--config.data.test_split=val"]
    if config == IMAGENET_LT:
        names = sorted(imagenet.glob("train/*/*"))
        lines = [
            f"train/{path.parent.name}/{path.name} {label}"
            for label, folder in enumerate(sorted((imagenet / "train").iterdir()))
            for path in names
            if path.parent == folder
        ]
        # 12, 10, 7 and 5 of them.
        kept = [line for i, line in enumerate(lines) if i % 12 < 12 - 2.5 * (i // 12)]
        (tmp_path / "list.txt").write_text("\n".join(kept))
        given.append(f"--config.data.train_list={tmp_path / 'list.txt'}")
    return given


def teacher_of(pair, prefix, num_classes, path):
    """A file of weights for the pair's teacher, as drawn at the start."""
    teacher = pair.split("-")[0]
    name = f"{prefix}_{teacher}"
    model = models.create(name, num_classes)
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 64, 64, 3)))
    rng = np.random.default_rng(0)
    variables = jax.tree.map(
        lambda leaf: (
            1 + 0.01 * rng.standard_normal(leaf.shape, np.float32)
            if leaf.ndim == 1
            else rng.standard_normal(leaf.shape, np.float32)
            / np.prod(leaf.shape[:-1]) ** 0.5
        ),
        shapes,
    )
    converted.write(path, converted.Converted(name, num_classes, None, variables))
    return f"--config.teacher.path={path}"


def finished(tmp_path, config, argument, *given):
    config = f"{config}:{argument},quick"
    train(tmp_path / "run", *given, config=config, optimised=False)
    result = result_of(tmp_path / "run")
    assert result["robust_accuracy"] == {}
    return result


@pytest.mark.long
def test_cifar100_quick(cifar100, tmp_path):
    given = teacher_of("vgg13-vgg8", "cifar", 100, tmp_path / "teacher.npz")
    result = finished(tmp_path, CIFAR, "vgg13-vgg8,ikl", *cifar100, given)
    assert (result["steps"], result["num_examples"]) == (2, 16)


@pytest.mark.long
def test_imagenet_quick(imagenet, tmp_path):
    given = teacher_of("resnet34-resnet18", "imagenet", 4, tmp_path / "teacher.npz")
    places = overrides(IMAGENET, imagenet, tmp_path)
    result = finished(tmp_path, IMAGENET, "resnet34-resnet18,ikl", *places, given)
    assert (result["steps"], result["num_examples"]) == (3, 16)


def lt_student(tmp_path, *given):
    result = finished(
        tmp_path, IMAGENET_LT, "resnet18-resnet18,gkl", *given,
        "--config.evaluation.shots=6,10",
    )  # fmt: skip
    assert result["steps"] == 2
    assert set(result["accuracy_by_shots"]) == {"many", "medium", "few"}


@pytest.mark.long
def test_imagenet_lt_quick(imagenet, tmp_path):
    given = teacher_of("resnet18-resnet18", "imagenet", 4, tmp_path / "teacher.npz")
    lt_student(tmp_path, *overrides(IMAGENET_LT, imagenet, tmp_path), given)


@pytest.mark.slow
def test_imagenet_lt_with_a_teacher_that_is_a_run(imagenet, tmp_path):
    places = overrides(IMAGENET_LT, imagenet, tmp_path)
    teacher = tmp_path / "teacher"
    train(teacher, *places, config=f"{IMAGENET_LT}:resnet18-resnet18,teacher,quick")
    lt_student(tmp_path, *places, f"--config.teacher.path={teacher}")


def built(config, argument, cifar100, imagenet, tmp_path):
    settings = MODULES[config].get_config(f"{argument},quick")
    if settings.recipe == "distillation":
        settings.teacher.path = "teacher.npz"
    places = cifar100 if config == CIFAR else overrides(config, imagenet, tmp_path)
    changed = dict(place.removeprefix("--config.").split("=", 1) for place in places)
    settings.update_from_flattened_dict(changed)
    return runs.build(settings)


def shapes(run):
    size = run.config.batch_size
    return {
        "image": jax.ShapeDtypeStruct((size, *run.data.image_shape), jnp.uint8),
        "label": jax.ShapeDtypeStruct((size,), jnp.int32),
    }


@pytest.mark.long
@pytest.mark.parametrize(("config", "pair", "loss"), case_rows(ALL, quick=QUICK))
def test_every_pair_and_loss_is_a_run(config, pair, loss, cifar100, imagenet, tmp_path):
    """Built on data of the right format, and its whole step traced."""
    run = built(config, f"{pair},{loss}", cifar100, imagenet, tmp_path)
    size, width = run.config.batch_size, run.data.num_classes
    logits = jax.ShapeDtypeStruct((size, width), jnp.float32)
    batch = shapes(run) | {"teacher_logits": logits}
    state, metrics = jax.eval_shape(run.recipe.step, run.abstract_state, batch)
    assert metrics["distillation"].shape == ()
    assert jax.tree.structure(state) == jax.tree.structure(run.abstract_state)
    teacher = pair.split("-")[0]
    known = getattr(MODULES[config], "MODELS", {})
    prefix = "cifar" if config == CIFAR else "imagenet"
    models.create(known.get(teacher, f"{prefix}_{teacher}"), width)


@pytest.mark.long
def test_fashion_mnist_quick(tmp_path):
    """On small images in the four files' format, with the teacher's logits kept."""
    write_idx(tmp_path)
    given = [
        f"--config.data.source=idx:{tmp_path}", "--config.data.validation_size=16",
        "--config.batch_size=16",
    ]  # fmt: skip
    config = "configs/fashion_mnist_distill.py"
    train(tmp_path / "teacher", *given, config=f"{config}:teacher,quick")
    given += [
        f"--config.teacher.path={tmp_path / 'teacher'}",
        f"--config.teacher.cache={tmp_path / 'logits'}",
    ]
    result = finished(tmp_path, config, "loss=gkl", *given)
    assert (result["steps"], result["num_examples"]) == (5, 32)


@pytest.mark.parametrize("role", ["teacher", "alone"])
@pytest.mark.parametrize(
    "config", [CIFAR, pytest.param(IMAGENET_LT, marks=pytest.mark.long)]
)
def test_teachers_and_students_alone_are_runs(
    config, role, cifar100, imagenet, tmp_path
):
    pair = "vgg13-vgg8" if config == CIFAR else "resnet50-resnet50"
    run = built(config, f"{pair},{role}", cifar100, imagenet, tmp_path)
    state, _ = jax.eval_shape(run.recipe.step, run.abstract_state, shapes(run))
    assert jax.tree.structure(state) == jax.tree.structure(run.abstract_state)


def test_imagenet_from_tfds_is_a_run(tmp_path):
    test_imagenet.write(tmp_path)
    config = imagenet_distill.get_config("alone,quick")
    config.data.data_dir, config.batch_size = str(tmp_path), 8
    run = runs.build(config)
    assert (run.data.num_classes, run.data.image_shape) == (1000, (32, 32, 3))


@pytest.mark.slow
@pytest.mark.parametrize("pair", cifar100_distill.PAIRS)
def test_every_cifar100_pair_quick(pair, cifar100, tmp_path):
    given = teacher_of(pair, "cifar", 100, tmp_path / "teacher.npz")
    for loss in ("dkd", "gkl"):
        (tmp_path / loss).mkdir()
        finished(tmp_path / loss, CIFAR, f"{pair},{loss}", *cifar100, given)
