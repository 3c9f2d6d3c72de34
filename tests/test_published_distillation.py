"""The published distillation configs: their numbers, all pairs, and `quick` runs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import base, cifar100_distill, imagenet_distill, imagenet_lt_distill
from ikl_jax import models
from tests import folders
from tests.commands import result_of, train
from tests.test_sources import tfds_builder
from train import converted, optim
from train import run as runs

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


def rates(config, epochs):
    """The learning rate in the middle of each epoch."""
    schedule = optim.schedule(config.optimizer, epochs=epochs, steps_per_epoch=10)
    return np.array([float(schedule(10 * epoch + 5)) for epoch in range(epochs)])


def test_cifar100s_numbers():
    """The authors' alpha is beta here, and theirs is our alpha."""
    config = cifar100_distill.get_config("wrn_40_2-wrn_16_2,ikl")
    loss = config.loss
    assert (loss.alpha, loss.beta, loss.temperature) == (12, 3, 4)
    assert (loss.weights, loss.weight_temperature) == ("sample", 100)
    assert (loss.cross_entropy, loss.strength, loss.warmup_epochs) == (1, 1, 20)
    loss = cifar100_distill.get_config("resnet32x4-resnet8x4,gkl").loss
    assert (loss.alpha, loss.beta, loss.gamma) == (16, 1, 0.05)
    assert (loss.weights, loss.weight_temperature) == ("class_means", 4)
    loss = cifar100_distill.get_config("resnet110-resnet32,kd").loss
    assert (loss.strength, loss.cross_entropy, loss.warmup_epochs) == (0.9, 0.1, 0)
    config = cifar100_distill.get_config("vgg13-mobilenetv2,dkd")
    assert (config.loss.alpha, config.loss.beta) == (1, 6)
    expected = 0.01 * np.repeat([1, 0.1, 0.01, 0.001], [150, 30, 30, 30])
    np.testing.assert_allclose(rates(config, 240), expected, rtol=1e-5)


def test_imagenets_numbers():
    config = imagenet_distill.get_config("resnet50-mobilenetv1,gkl")
    loss = config.loss
    assert (loss.alpha, loss.beta, loss.gamma, loss.warmup_epochs) == (1, 4, 0.5, 5)
    assert (config.batch_size, config.model.bn_groups) == (512, 8)
    expected = 0.2 * np.repeat([1, 0.1, 0.01, 0.001], [30, 30, 30, 10])
    np.testing.assert_allclose(rates(config, 100), expected, rtol=1e-5)
    config = imagenet_lt_distill.get_config("resnext101-resnet50,ikl")
    assert (config.loss.alpha, config.loss.beta) == (4, 3)
    assert config.model.name == "imagenet_resnet50"
    warm = 0.05 * np.arange(1, 11) / 10
    np.testing.assert_allclose(rates(config, 90)[:10], warm, rtol=1e-5)
    assert rates(config, 90)[-1] < 1e-4


def test_one_option_of_each_group():
    assert base.choose("", loss=("ikl", "kd")) == {"loss": "ikl"}
    with pytest.raises(ValueError, match="unknown config argument 'ikk'; known: pair"):
        cifar100_distill.get_config("ikk")
    with pytest.raises(ValueError, match="takes one loss, got 'kd' and 'ikl'"):
        cifar100_distill.get_config("kd,ikl")


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
        # 12, 9, 7 and 4 of them.
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
    train(tmp_path / "run", *given, config=f"{config}:{argument},quick")
    result = result_of(tmp_path / "run")
    assert result["robust_accuracy"] == {}
    return result


def test_cifar100_quick(cifar100, tmp_path):
    given = teacher_of("vgg13-vgg8", "cifar", 100, tmp_path / "teacher.npz")
    result = finished(tmp_path, CIFAR, "vgg13-vgg8,ikl", *cifar100, given)
    assert (result["steps"], result["num_examples"]) == (2, 16)


def test_imagenet_quick(imagenet, tmp_path):
    given = teacher_of("resnet34-resnet18", "imagenet", 4, tmp_path / "teacher.npz")
    places = overrides(IMAGENET, imagenet, tmp_path)
    result = finished(tmp_path, IMAGENET, "resnet34-resnet18,ikl", *places, given)
    assert (result["steps"], result["num_examples"]) == (3, 16)


def test_imagenet_lt_quick(imagenet, tmp_path):
    given = teacher_of("resnet18-resnet18", "imagenet", 4, tmp_path / "teacher.npz")
    places = overrides(IMAGENET_LT, imagenet, tmp_path)
    result = finished(
        tmp_path, IMAGENET_LT, "resnet18-resnet18,gkl", *places, given,
        "--config.evaluation.shots=5,10",
    )  # fmt: skip
    assert result["steps"] == 2
    assert set(result["accuracy_by_shots"]) == {"many", "medium", "few"}


@pytest.mark.parametrize(("config", "pair", "loss"), ALL)
def test_every_pair_and_loss_is_a_run(config, pair, loss, cifar100, imagenet, tmp_path):
    """Built on data of the right format, and its whole step traced."""
    settings = MODULES[config].get_config(f"{pair},{loss},quick")
    settings.teacher.path = "teacher.npz"
    places = cifar100 if config == CIFAR else overrides(config, imagenet, tmp_path)
    changed = dict(place.removeprefix("--config.").split("=", 1) for place in places)
    settings.update_from_flattened_dict(changed)
    run = runs.build(settings)
    size, width = settings.batch_size, run.data.num_classes
    batch = {
        "image": jax.ShapeDtypeStruct((size, *run.data.image_shape), jnp.uint8),
        "label": jax.ShapeDtypeStruct((size,), jnp.int32),
        "teacher_logits": jax.ShapeDtypeStruct((size, width), jnp.float32),
    }
    state, metrics = jax.eval_shape(run.recipe.step, run.abstract_state, batch)
    assert metrics["distillation"].shape == ()
    assert jax.tree.structure(state) == jax.tree.structure(run.abstract_state)
    teacher = pair.split("-")[0]
    known = getattr(MODULES[config], "MODELS", {})
    prefix = "cifar" if config == CIFAR else "imagenet"
    models.create(known.get(teacher, f"{prefix}_{teacher}"), width)


@pytest.mark.slow
@pytest.mark.parametrize("pair", cifar100_distill.PAIRS)
def test_every_cifar100_pair_quick(pair, cifar100, tmp_path):
    given = teacher_of(pair, "cifar", 100, tmp_path / "teacher.npz")
    for loss in ("dkd", "gkl"):
        (tmp_path / loss).mkdir()
        finished(tmp_path / loss, CIFAR, f"{pair},{loss}", *cifar100, given)
