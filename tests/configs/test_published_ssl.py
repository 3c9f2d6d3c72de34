"""The published semi-supervised configs: settings, published numbers, `quick` runs."""

import re

import numpy as np
import pytest

from configs import cifar10_ssl, cifar100_ssl
from tests.conftest import ROOT
from tests.support.commands import metrics_of
from tests.support.tfds_data import tfds_builder
from train import cli
from train.experiment import validation
from train.recipes import optim

MODULES = {"cifar100": cifar100_ssl, "cifar10": cifar10_ssl}


def rows_of(text):
    """The cells of the tables in a text, without the headers' ruled lines."""
    lines = [line.strip() for line in text.split("\n") if line.strip().startswith("|")]
    rows = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in rows if not set("".join(row)) <= set("-: ")]


def test_the_docs_have_the_published_numbers():
    docs = rows_of((ROOT / "docs" / "semi_supervised.md").read_text())
    header, *rows = rows_of(cifar100_ssl.__doc__)
    assert header[1:3] == ["labels=200", "labels=400"]
    assert [row for row in rows if row in docs] == rows
    labels, accuracies = rows_of(cifar10_ssl.__doc__)
    for column in zip(labels, accuracies, strict=True):
        assert [f"fixmatch,ce,{column[0]}", column[1]] in [row[:2] for row in docs]


def test_every_published_row_is_a_config_that_can_be_locked():
    _, *rows = rows_of(cifar100_ssl.__doc__)
    arguments = [
        (cifar100_ssl, f"{row[0]},labels={n}") for row in rows for n in (200, 400)
    ]
    arguments += [(cifar10_ssl, f"fixmatch,ce,labels={n}") for n in (40, 250, 4000)]
    for module, argument in arguments:
        for options in (argument, f"{argument},quick"):
            config = module.get_config(options)
            config.lock()
            validation.validate(config)
            assert config.name == f"{module.__name__.split('.')[-1]}:{options}"
            assert config.data.num_labels == int(argument.partition("labels=")[2])


def rate(config, step):
    schedule = optim.schedule(
        config.optimizer, epochs=config.epochs, steps_per_epoch=config.steps_per_epoch
    )
    return float(schedule(step))


def test_the_settings_of_usb():
    config = cifar100_ssl.get_config("fixmatch,usb,labels=400")
    assert (config.model.name, config.model.drop_path) == ("vit_small_patch2_32", -1)
    assert config.epochs * config.steps_per_epoch == 204_800
    assert (config.batch_size, config.unlabelled.ratio) == (8, 1)
    optimizer = config.optimizer
    assert (optimizer.name, optimizer.layer_decay) == ("adamw", 0.5)
    assert (optimizer.weight_decay, optimizer.decay_vectors) == (5e-4, False)
    assert rate(config, 2560) == pytest.approx(2.5e-4)
    assert rate(config, 5120) == pytest.approx(5e-4)
    assert rate(config, 204_800) == pytest.approx(5e-4 * np.cos(7 * np.pi / 16))
    view = config.unlabelled
    assert (view.strong_view, view.operations, view.cutout) == (
        "uniform_rand_augment", 3, 0.5,
    )  # fmt: skip
    data = config.data
    assert (data.crop_padding, data.crop_fill, data.flip) == (4, "reflect", True)
    assert (config.loss.name, config.loss.strength, view.threshold) == ("ce", 1, 0.95)
    assert config.averaging.every == "none"


def test_the_losses_of_usb_and_of_the_authors():
    """The authors' files say alpha 1 and 0.02, beta 0.1 and 0.03, with swapped names."""
    loss = cifar100_ssl.get_config("fixmatch,ikl").loss
    assert (loss.beta, loss.alpha, loss.strength) == (1, 0.1, 1)
    assert (loss.weights, loss.weight_temperature, loss.temperature) == ("sample", 1, 1)
    for argument, gradient in (
        ("ikl", "both"),
        ("soft_ce", "strong"),
        ("usb", "strong"),
    ):
        config = cifar100_ssl.get_config(f"fixmatch,{argument}")
        assert config.unlabelled.gradient == gradient
        assert config.unlabelled.target_temperature == 1
    loss = cifar100_ssl.get_config("mean_teacher,ikl").loss
    assert (loss.beta, loss.alpha) == (0.02, 0.03)
    for argument, threshold, warmup, strength in (
        ("ikl", 0.95, 0, 1), ("mse", 0.95, 0, 1), ("usb", 0, 0.4, 50),
    ):  # fmt: skip
        config = cifar100_ssl.get_config(f"mean_teacher,{argument}")
        found = config.unlabelled.threshold, config.unlabelled.warmup
        assert (*found, config.loss.strength) == (threshold, warmup, strength)
        assert config.loss.name == ("ikl" if argument == "ikl" else "mse")
        averaging = config.averaging
        assert (averaging.every, averaging.decay, averaging.warmup) == (
            "step", 0.999, False,
        )  # fmt: skip


def test_the_settings_of_fixmatch():
    config = cifar10_ssl.get_config("fixmatch,ce,labels=250")
    assert config.model.name == "wide_resnet_28_2"
    assert config.epochs * config.steps_per_epoch == 2**20
    assert (config.batch_size, config.unlabelled.ratio) == (64, 7)
    optimizer = config.optimizer
    assert (optimizer.name, optimizer.momentum, optimizer.nesterov) == (
        "sgd",
        0.9,
        True,
    )
    assert (optimizer.weight_decay, optimizer.decay_vectors) == (5e-4, False)
    assert rate(config, 0) == pytest.approx(0.03)
    assert rate(config, 2**19) == pytest.approx(0.03 * np.cos(7 * np.pi / 32))
    assert config.unlabelled.threshold == 0.95
    assert (config.loss.name, config.loss.strength) == ("ce", 1)
    assert (config.unlabelled.operations, config.unlabelled.cutout) == (2, 0.5)
    averaging = config.averaging
    assert (averaging.every, averaging.decay) == ("step", 0.999)
    assert (averaging.warmup, averaging.batch_norm) == (False, "copied")
    assert config.model.bn_momentum == 0.001


def test_options_that_cannot_be():
    for module, argument, message in (
        (
            cifar100_ssl,
            "fixmatch,ikl,labels=300",
            "labels must be 200 or 400, got '300'",
        ),
        (cifar100_ssl, "supervised,usb", "supervised takes no consistency"),
        (cifar100_ssl, "usb,ikl", "a config takes one loss"),
        (cifar10_ssl, "fixmatch,usb", "unknown config argument 'usb'"),
        (cifar10_ssl, "labels=x", "labels must be a number"),
    ):
        with pytest.raises(ValueError, match=message):
            module.get_config(argument)


def test_usbs_weights_are_asked_for(tmp_path, capsys):
    """Without them a run would start from scratch, which is another experiment."""
    config = cifar100_ssl.get_config("fixmatch,ikl")
    assert config.model.initial_weights == "vit_small_patch2_32.npz"
    assert not cifar100_ssl.get_config("quick").model.initial_weights


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """Generated data in TFDS's format of both data sets."""
    root, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for name, classes in (("cifar10", 10), ("cifar100", 100)):
        images = rng.integers(0, 256, (260, 32, 32, 3), np.uint8)
        builder = tfds_builder(
            root, images, np.arange(260) % classes, name=name, version="3.0.2",
            classes=classes, train=240,
        )  # fmt: skip
        builder.download_and_prepare()
    return root


@pytest.mark.long
@pytest.mark.parametrize(
    ("data", "argument"),
    [
        ("cifar100", "fixmatch,ikl,labels=200"), ("cifar100", "fixmatch,soft_ce"),
        ("cifar100", "fixmatch,usb"), ("cifar100", "mean_teacher,ikl"),
        ("cifar100", "mean_teacher,mse"), ("cifar100", "mean_teacher,usb"),
        ("cifar100", "supervised"), ("cifar10", "fixmatch,ce,labels=40"),
        ("cifar10", "mean_teacher,mse,labels=40"),
    ],
)  # fmt: skip
def test_quick_runs(data, argument, data_dir, tmp_path):
    name = f"configs/{data}_ssl.py:{argument},quick"
    given = [f"--config={name}", f"--workdir={tmp_path / 'run'}"]
    assert cli.main(["train", *given, f"--config.data.data_dir={data_dir}"]) == 0
    lines = [line for line in metrics_of(tmp_path / "run") if "loss" in line]
    assert len(lines) == 4
    assert re.search("supervised", argument) or "consistency" in lines[-1]
