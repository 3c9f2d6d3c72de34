"""The published adversarial configs: their numbers, their table, and `quick` runs."""

import re

import numpy as np
import pytest

from configs import base, cifar10_at, cifar100_at, imagenet_at
from configs.published_at import table
from tests.conftest import ROOT
from tests.support import folders, parts
from tests.support.commands import result_of, run, train
from tests.support.recipes import rates
from tests.support.tfds_data import tfds_builder
from train.experiment import settings, validation
from train.planning import plan

MODULES = {"cifar100": cifar100_at, "cifar10": cifar10_at, "imagenet": imagenet_at}
CLASSES = {"cifar100": 100, "cifar10": 10}
ALL = [(data, row) for data, module in MODULES.items() for row in module.ROWS]


def config_of(data, argument):
    return MODULES[data].get_config(argument)


# The authors' script or log, in their words: alpha (of the cross-entropy, our beta),
# beta (of the squared error, our alpha), T; then gamma of GKL, the second view's weight.
PUBLISHED = """
cifar100 basic               4 20 4 -   -
cifar100 beta3               3 20 4 -   -
cifar100 temperature2        4 20 2 -   -
cifar100 beta5               5 20 4 -   -
cifar100 auto_augment        4 20 4 -   .3
cifar100 gkl                 4 20 4 1   -
cifar100 gkl_gamma04         4 20 1 .4  -
cifar100 gkl_auto_augment    4 20 4 1   .5
cifar100 synthetic_50m       5 12 4 -   -
cifar10  basic               4 20 4 -   -
cifar10  beta3               3 20 4 -   -
cifar10  gkl                 4 20 4 1   -
cifar10  gkl_gamma02         4 20 4 .2  -
cifar10  gkl_auto_augment    4 20 4 1   .5
cifar10  synthetic_20m       3 10 4 -   -
"""


@pytest.mark.parametrize("line", PUBLISHED.split("\n")[1:-1])
def test_the_losses_numbers(line):
    data, row, alpha, beta, temperature, gamma, weight = line.split()
    config = config_of(data, row)
    loss = config.loss
    assert (loss.beta, loss.alpha) == (float(alpha), float(beta))
    assert loss.weight_temperature == float(temperature)
    assert (loss.weights, loss.class_means_momentum) == ("class_means", 0)
    assert loss.name == ("ikl" if gamma == "-" else "gkl")
    assert gamma == "-" or loss.gamma == float(gamma)
    view = ("none", 1.0) if weight == "-" else ("auto_augment", float(weight))
    assert (config.data.second_view, loss.second_view_weight) == view
    assert config.awp.second_view_weight == 1
    # CIFAR-100 is attacked through both halves of the loss, CIFAR-10 through one.
    attack = config.attack
    assert (attack.loss, attack.beta) == ("ikl", 1)
    assert attack.alpha == (1 if data == "cifar100" else 0)


@pytest.mark.parametrize("data", CLASSES)
def test_the_settings_of_wide_resnet_34_10(data):
    config = config_of(data, "basic")
    assert config.model.name == "wide_resnet_34_10"
    assert list(config.model.normalize) == []
    assert (config.batch_size, config.model.bn_groups, config.epochs) == (128, 4, 200)
    epochs = np.arange(1, 201)
    expected = 0.2 * 0.5 * (1 + np.cos(np.pi * epochs / 201))
    np.testing.assert_allclose(rates(config, 200), expected, rtol=1e-4, atol=1e-8)
    optimizer = config.optimizer
    assert (optimizer.momentum, optimizer.weight_decay) == (0.9, 5e-4)
    assert (optimizer.nesterov, optimizer.decay_vectors) == (False, True)
    attack = config.attack
    assert (attack.epsilon, attack.epsilon_ramp) == (8 / 255, 1)
    assert (attack.steps, attack.first_steps, attack.relative_step_size) == (5, 0, 0.5)
    assert (attack.start, attack.start_scale) == ("gaussian", 0.001)
    awp = config.awp
    assert (awp.gamma, awp.start_epoch, awp.decay_perturbed) == (0.005, 9, True)
    assert config.batch_norm.attack == "running"
    assert tuple(config.batch_norm.updates) == ("adversarial", "natural")
    averaging = config.averaging
    assert (averaging.every, averaging.decay) == ("epoch", 0.9)
    assert (averaging.warmup, averaging.batch_norm) == (False, "averaged")
    assert (config.data.crop_padding, config.data.flip) == (4, True)
    assert not config.data.drop_remainder
    intended = config_of(data, "basic,intended").attack
    assert (intended.first_steps, intended.steps) == (2, 5)


@pytest.mark.parametrize("data", CLASSES)
def test_the_settings_with_synthetic_images(data):
    config = config_of(data, "synthetic_1m")
    assert config.model.name == "wide_resnet_swish_28_10"
    assert (config.batch_size, config.epochs) == (512, 400)
    assert config.data.synthetic == f"{data}_1m"
    # The network's own, CIFAR-10's, or those of CIFAR-100.
    assert len(config.model.normalize) == (2 if data == "cifar100" else 0)
    assert round(config.data.synthetic_ratio * 512) == 358
    assert (config.model.bn_groups, config.model.bn_momentum) == (1, 0.01)
    assert config.optimizer.nesterov
    assert not config.optimizer.decay_vectors
    found = rates(config, 400)
    assert np.argmax(found) == 9  # the tenth, 0.025 of the epochs
    assert config.optimizer.cycle_momentum
    assert found.max() == pytest.approx(0.2, rel=1e-6)
    assert config.loss.label_smoothing == 0.1
    attack = config.attack
    assert (attack.steps, attack.relative_step_size) == (10, 0.25)
    assert (attack.start, attack.epsilon_ramp) == ("uniform", 0)
    assert config.batch_norm.attack == "batch"
    assert tuple(config.batch_norm.updates) == ("natural", "adversarial")
    averaging = config.averaging
    assert (averaging.every, averaging.decay, averaging.start_epoch) == (
        "step", 0.995, 10,
    )  # fmt: skip
    assert (averaging.warmup, averaging.batch_norm) == (True, "copied")
    assert config.awp.gamma == 0


def test_intended_is_for_attacks_of_five_steps():
    for row in ("awp_trades", "synthetic_1m"):
        with pytest.raises(
            ValueError, match="intended is for .* 5 steps, got 'cifar10_at"
        ):
            config_of("cifar10", f"{row},intended")
    with pytest.raises(ValueError, match="unknown config argument 'intended'"):
        config_of("imagenet", "ikl,intended")


def test_trades_and_awp_before_it():
    for data, strength in (("cifar100", 9.0), ("cifar10", 6.0)):
        config = config_of(data, "trades")
        assert (config.loss.name, config.loss.strength) == ("kl", strength)
        assert config.attack.loss == "kl"
        assert config.data.drop_remainder
        expected = 0.1 * (1 + np.cos(np.pi * np.arange(200) / 200))
        np.testing.assert_allclose(rates(config, 200), expected, rtol=1e-4, atol=1e-8)
        averaging = config.averaging
        assert (averaging.every, averaging.decay, averaging.start_epoch) == (
            "step", 0.9996, 149,
        )  # fmt: skip
        assert not averaging.warmup
        config = config_of(data, "awp_trades")
        assert (config.loss.name, config.loss.strength) == ("kl", 6.0)
        attack = config.attack
        assert (attack.steps, attack.relative_step_size) == (10, 0.25)
        assert attack.epsilon_ramp == 0
        assert not config.data.drop_remainder
        # From epochs 100 and 150 on, which are counted from 1.
        decayed = np.repeat([0.1, 0.01, 0.001], [99, 50, 51])
        np.testing.assert_allclose(rates(config, 200), decayed, rtol=1e-5)


@pytest.mark.parametrize(("data", "row"), ALL)
def test_every_row_is_valid_and_lockable_and_so_is_its_quick_form(data, row):
    steps = config_of(data, row).attack.steps
    intended = [f"{row},intended"] if steps == 5 else []
    for argument in (row, f"{row},quick", *intended):
        config = config_of(data, argument)
        config.lock()
        validation.validate(config)
        assert config.name == f"{data}_at:{argument}"
        assert (
            settings.differences(base.get_config().to_dict(), config.to_dict()).keys()
            <= dict(settings.flat(base.get_config().to_dict())).keys()
        )


def test_the_docs_have_the_table_of_all_rows():
    lines = table()
    assert lines in (ROOT / "docs" / "recipes.md").read_text()
    assert len(re.findall(r"configs/\w+\.py:\w+", lines)) == len(ALL)
    for (data, row), line in zip(ALL, lines.split("\n")[2:], strict=True):
        assert f"`configs/{data}_at.py:{row}`" in line
        published = MODULES[data].ROWS[row]
        for accuracy in (published.natural, published.robust):
            assert accuracy is None or f"{accuracy:.2f}" in line


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Generated data of each kind, as it lies on disk, as overrides of a config."""
    root, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    found = {}
    for name, classes in CLASSES.items():
        images = rng.integers(0, 256, (56, 32, 32, 3), np.uint8)
        builder = tfds_builder(
            root, images, np.arange(56) % classes, name=name, version="3.0.2",
            classes=classes, train=40,
        )  # fmt: skip
        builder.download_and_prepare()
        parts.write_parts(root / name / "parts", (64,), num_classes=classes)
        shards = root / name / "shards"
        flags = {"num_classes": classes}
        assert parts.convert(root / name / "parts" / "*.npz", shards, **flags) == 0
        found[name] = [f"--config.data.data_dir={root}"]
        found[f"{name} synthetic"] = [f"--config.data.synthetic={shards}"]
    folders.write(root / "imagenet", train=12, test=4)
    found["imagenet"] = [
        f"--config.data.source=folder:{root / 'imagenet'}",
        "--config.data.test_split=val",
    ]
    return found


def overrides(data, row, places):
    synthetic = places[f"{data} synthetic"] if "synthetic" in row else []
    return [*places[data], *synthetic]


@pytest.mark.long
@pytest.mark.parametrize(("data", "row"), ALL)
def test_quick_runs(data, row, places, tmp_path):
    train(
        tmp_path / "run", *overrides(data, row, places),
        config=f"configs/{data}_at.py:{row},quick", optimised=False,
    )  # fmt: skip
    result = result_of(tmp_path / "run")
    assert result["epochs"] == 1
    # 40 images in batches of 16; the last one is left out, or kept, or whole.
    kept = not config_of(data, row).data.drop_remainder
    assert result["steps"] == (2 + kept if data in CLASSES else 2)
    assert len(result["robust_accuracy"]) == 1


@pytest.mark.long
@pytest.mark.parametrize(("data", "row"), ALL)
def test_plans(data, row, places):
    done = run(
        f"--config=configs/{data}_at.py:{row},quick", "--plan",
        *overrides(data, row, places), optimised=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "hours of training" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("row", ["basic", "synthetic_20m"])
def test_the_plan_of_a_whole_recipe(row, places):
    config = config_of("cifar10", f"{row}")
    for place in overrides("cifar10", row, places):
        field, _, value = place.removeprefix("--config.").partition("=")
        config.update_from_flattened_dict({field: value})
    # The generated data has one batch alone.
    config.batch_size = 40
    planned = plan.plan(config, plan.Target(tflops=100.0))
    billions = {"basic": 6.66, "synthetic_20m": 5.24}[row]
    steps = config.attack.steps
    # Natural logits, the attack, perturbed weights or not, and two passes with
    # gradients.
    passes = 1 + 2 * steps + 6 * (2 if row == "basic" else 1)
    expected = 40 * passes * 2e9 * billions
    assert planned.flops == pytest.approx(expected, rel=0.02)
