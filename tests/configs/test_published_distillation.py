"""The numbers of the published distillation configs."""

import numpy as np
import pytest

from configs import arguments, cifar100_distill, imagenet_distill, imagenet_lt_distill
from tests.support.recipes import rates

# Of each pair: learning rate, DKD's beta, then the authors' "alpha/beta" of IKL, and of
# GKL with gamma and where its weights come from. Their alpha is beta here, and theirs
# is our alpha.
CIFAR100 = """
resnet56-resnet20     .05  2  1/4   1/4   .2  class_means
resnet110-resnet32    .05  2  1/12  1/4   .1  sample
resnet32x4-resnet8x4  .05  8  1/8   1/16  .05 class_means
wrn_40_2-wrn_16_2     .05  6  3/12  3/20  .3  sample
wrn_40_2-wrn_40_1     .05  6  1/8   1/12  .3  sample
vgg13-vgg8            .05  6  1/12  1/8   .2  class_means
resnet32x4-shufflev1  .01  8  1/8   1/8   0   class_means
wrn_40_2-shufflev1    .01  8  1/4   1/8   0   sample
vgg13-mobilenetv2     .01  6  4/12  4/12  .1  class_means
resnet50-mobilenetv2  .01  8  1/12  1/8   .05 class_means
resnet32x4-shufflev2  .01  8  3/12  3/12  .1  class_means
"""


def swapped(published):
    """Our (alpha, beta) of the authors' "alpha/beta"."""
    beta, alpha = published.split("/")
    return float(alpha), float(beta)


@pytest.mark.parametrize("row", CIFAR100.split("\n")[1:-1])
def test_cifar100s_numbers(row):
    pair, rate, dkd, ikl, gkl, gamma, weights = row.split()
    get = lambda loss: cifar100_distill.get_config(f"{pair},{loss}")
    for loss in ("kd", "dkd", "ikl", "gkl"):
        config = get(loss)
        assert config.loss.temperature == 4
        assert config.loss.warmup_epochs == (0 if loss == "kd" else 20)
        decay = np.repeat([1, 0.1, 0.01, 0.001], [150, 30, 30, 30])
        np.testing.assert_allclose(rates(config, 240), float(rate) * decay, rtol=1e-5)
    assert (get("kd").loss.strength, get("kd").loss.cross_entropy) == (0.9, 0.1)
    assert (get("dkd").loss.alpha, get("dkd").loss.beta) == (1, float(dkd))
    loss = get("ikl").loss
    assert (loss.alpha, loss.beta) == swapped(ikl)
    assert (loss.weights, loss.weight_temperature) == ("sample", 100)
    assert (loss.cross_entropy, loss.strength) == (1, 1)
    loss = get("gkl").loss
    assert (loss.alpha, loss.beta, loss.gamma) == (*swapped(gkl), float(gamma))
    assert (loss.weights, loss.weight_temperature) == (weights, 4)


def test_all_pairs_of_cifar100_are_in_the_table():
    assert {row.split()[0] for row in CIFAR100.split("\n")[1:-1]} == set(
        cifar100_distill.PAIRS
    )


@pytest.mark.parametrize(
    ("pair", "dkd", "ikl", "gamma"),
    [("resnet34-resnet18", 0.5, "1/.5", 0.6), ("resnet50-mobilenetv1", 2, "4/1", 0.5)],
)
def test_imagenets_numbers(pair, dkd, ikl, gamma):
    get = lambda loss: imagenet_distill.get_config(f"{pair},{loss}")
    assert (get("kd").loss.strength, get("kd").loss.cross_entropy) == (0.5, 0.5)
    assert (get("dkd").loss.alpha, get("dkd").loss.beta) == (1, dkd)
    for loss, warmup in (("ikl", 1), ("gkl", 5)):
        found = get(loss).loss
        assert (found.alpha, found.beta) == swapped(ikl)
        assert (found.warmup_epochs, found.weights) == (warmup, "class_means")
        assert (found.temperature, found.weight_temperature) == (1, 1)
    assert get("gkl").loss.gamma == gamma
    config = get("ikl")
    assert (config.batch_size, config.model.bn_groups) == (512, 8)
    decay = np.repeat([1, 0.1, 0.01, 0.001], [30, 30, 30, 10])
    np.testing.assert_allclose(rates(config, 100), 0.2 * decay, rtol=1e-5)


@pytest.mark.parametrize(
    ("pair", "kd", "ikl"),
    [
        ("resnext101-resnet18", 4, "4/4"), ("resnext101-resnet50", 3, "3/4"),
        ("resnet18-resnet18", 4, "1/.5"), ("resnet50-resnet50", 1, "1/1"),
    ],
)  # fmt: skip
def test_imagenet_lts_numbers(pair, kd, ikl):
    get = lambda loss: imagenet_lt_distill.get_config(f"{pair},{loss}")
    loss = get("kd").loss
    assert (loss.strength, loss.cross_entropy, loss.temperature) == (kd, 1, 1)
    loss = get("ikl").loss
    assert (loss.alpha, loss.beta) == swapped(ikl)
    assert (loss.weights, loss.weight_temperature) == ("sample", 100)
    loss = get("gkl").loss
    assert (loss.alpha, loss.beta, loss.gamma) == (*swapped(ikl), 0.3)
    assert (loss.weights, loss.weight_temperature) == ("class_means", 1)
    config = get("ikl")
    assert (config.batch_size, config.model.bn_groups) == (128, 4)
    np.testing.assert_allclose(
        rates(config, 90)[:10], 0.05 * np.arange(1, 11) / 10, rtol=1e-5
    )
    assert rates(config, 90)[-1] < 1e-4


def test_one_option_of_each_group():
    assert arguments.choose("", loss=("ikl", "kd")) == {"loss": "ikl"}
    with pytest.raises(ValueError, match="unknown config argument 'ikk'; known: pair"):
        cifar100_distill.get_config("ikk")
    named = cifar100_distill.get_config("loss=kd,pair=vgg13-vgg8")
    assert (named.loss.name, named.model.name) == ("kd", "cifar_vgg8")
    with pytest.raises(ValueError, match="unknown config argument 'size=kd'"):
        cifar100_distill.get_config("size=kd")
    with pytest.raises(ValueError, match="takes one loss, got 'kd' and 'ikl'"):
        cifar100_distill.get_config("kd,ikl")
