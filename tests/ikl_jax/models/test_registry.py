"""Names of architectures, their listing, and names that are refused."""

import pytest

from ikl_jax import models
from ikl_jax.models import __main__ as listing
from ikl_jax.models.registry import FAMILIES
from tests.ikl_jax.models.shapes import forward


def test_every_listed_name_can_be_made():
    names = [name for family in FAMILIES for name in family.examples]
    assert len(names) == len(set(names)) == 47
    for name in names:
        assert models.create(name, 3).num_classes == 3


def test_the_listing(capsys, monkeypatch):
    listed = {"cifar_vgg8", "imagenet_resnet18"}
    families = [family for family in FAMILIES if listed & set(family.examples)]
    monkeypatch.setattr(listing, "FAMILIES", families)
    listing.main()
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["cifar_vgg8", "3,965,028", "32", "x", "32", "x", "3", "100"] in lines
    # The number of parameters in torchvision's documentation.
    assert [
        "imagenet_resnet18",
        "11,689,512",
        "224",
        "x",
        "224",
        "x",
        "3",
        "1,000",
    ] in lines


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: models.create("wide_resnet_10_"), "did you mean 'wide_resnet_10_2'"),
        (
            lambda: models.create("resnet18"),
            "unknown model 'resnet18'; did you mean '.*_resnet18'.*known: cifar",
        ),
        (lambda: models.create("wide_resnet_12_2"), "depth must be 10, 16, .* got 12"),
        (lambda: models.create("wide_resnet_10_0"), "width must be >= 1, got 0"),
        (lambda: models.create("cnn", 0), "num_classes must be > 0, got 0"),
        (lambda: models.create("cifar_resnet10"), "did you mean 'cifar_resnet"),
        (lambda: models.create("cifar_wrn_16_0"), "width must be >= 1, got 0"),
        (
            lambda: models.create("cifar_vgg8", normalize=((0.5,), (0.1, 0.2))),
            "normalize must be .mean, deviation., each with one number per channel, got",
        ),
        (
            lambda: models.create("cifar_vgg8", normalize=((0.5,), (0.0,))),
            "normalize's deviations must be > 0, got .0.0,.",
        ),
        (
            lambda: forward(models.create("wide_resnet_swish_10_1"), 16, 1),
            "normalize must have .* 1 channels, or be None, got 3 of each",
        ),
        (
            lambda: forward(models.create("cifar_vgg8"), 7),
            "VGG needs images of 8 x 8 or more, got .7, 7.",
        ),
    ],
)
def test_bad_names(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_cnns_of_other_widths():
    assert models.create("cnn_16", 7) == models.create("cnn", 7)
    narrow = models.create("cnn_1", 7)
    assert (narrow.features, narrow.hidden) == ((1, 2), 6)
    with pytest.raises(ValueError, match="width must be > 0, got 0"):
        models.create("cnn_0")
