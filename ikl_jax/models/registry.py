"""The table of all architectures, and the look-up of one by its name."""

import dataclasses
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn

from ikl_jax import checks
from ikl_jax.models.cnn import CNN
from ikl_jax.models.mobilenet import CifarMobileNetV2, MobileNetV1
from ikl_jax.models.resnet import (
    Bottleneck,
    CifarResNet4,
    ImageNetResNet,
    ResNet,
    ResNeXtBottleneck,
)
from ikl_jax.models.shufflenet import CifarShuffleNetV1, CifarShuffleNetV2
from ikl_jax.models.vgg import VGG
from ikl_jax.models.wide_resnet import WideResNet, WideResNetSwish

CIFAR = (32, 32, 3)
IMAGENET = (224, 224, 3)


@dataclasses.dataclass(frozen=True)
class Family:
    """Architectures whose names differ only in numbers.

    Attributes:
      pattern: matches a whole name; its groups are the numbers.
      examples: names for the listing, and for the error about an unknown name.
      build: takes the numbers, then options, and returns the module.
      input: height, width and channels of the images in the published recipes.
      classes: number of classes in the published recipes.
    """

    pattern: str
    examples: tuple[str, ...]
    build: Callable[..., nn.Module]
    input: tuple[int, int, int] = CIFAR
    classes: int = 100


def _cnn(width: int, **options: Any) -> nn.Module:
    """The small CNN of a given width; "cnn" has width 16."""
    checks.positive(width=width)
    hidden = max(100 * width // 16, 1)
    return CNN(features=(width, 2 * width), hidden=hidden, **options)


def _wide_resnet(depth: int, width: int, **options: Any) -> nn.Module:
    return WideResNet(depth=depth, width=width, **options)


def _wide_resnet_swish(depth: int, width: int, **options: Any) -> nn.Module:
    return WideResNetSwish(depth=depth, width=width, **options)


def _cifar_resnet(depth: int, **options: Any) -> nn.Module:
    blocks = ((depth - 2) // 6,) * 3
    return ResNet(stem_features=16, features=(16, 32, 64), blocks=blocks, **options)


def _cifar_resnet_x4(depth: int, **options: Any) -> nn.Module:
    blocks = ((depth - 2) // 6,) * 3
    return ResNet(stem_features=32, features=(64, 128, 256), blocks=blocks, **options)


def _one(
    name: str,
    build: Callable[..., nn.Module],
    input: tuple[int, int, int] = CIFAR,
    classes: int = 100,
) -> Family:
    return Family(name, (name,), build, input, classes)


_imagenet = partial(_one, input=IMAGENET, classes=1000)
_DEPTHS = (8, 14, 20, 32, 44, 56, 110)

FAMILIES = (
    _one("cnn", CNN, (28, 28, 1), 10),
    Family(r"cnn_(\d+)", ("cnn_4", "cnn_64"), _cnn, (28, 28, 1), 10),
    Family(
        r"wide_resnet_(\d+)_(\d+)",
        ("wide_resnet_10_2", "wide_resnet_28_10", "wide_resnet_34_10"),
        _wide_resnet,
    ),
    Family(
        r"wide_resnet_swish_(\d+)_(\d+)",
        ("wide_resnet_swish_10_2", "wide_resnet_swish_28_10"),
        _wide_resnet_swish,
    ),
    Family(
        rf"cifar_resnet({'|'.join(map(str, _DEPTHS))})",
        tuple(f"cifar_resnet{depth}" for depth in _DEPTHS),
        _cifar_resnet,
    ),
    Family(
        r"cifar_resnet(8|32)x4",
        ("cifar_resnet8x4", "cifar_resnet32x4"),
        _cifar_resnet_x4,
    ),
    Family(
        r"cifar_wrn_(\d+)_(\d+)",
        ("cifar_wrn_16_1", "cifar_wrn_16_2", "cifar_wrn_40_1", "cifar_wrn_40_2"),
        _wide_resnet,
    ),
    _one("cifar_vgg8", partial(VGG, convolutions=(1, 1, 1, 1, 1))),
    _one("cifar_vgg11", partial(VGG, convolutions=(1, 1, 2, 2, 2))),
    _one("cifar_vgg13", partial(VGG, convolutions=(2, 2, 2, 2, 2))),
    _one("cifar_vgg16", partial(VGG, convolutions=(2, 2, 3, 3, 3))),
    _one("cifar_vgg19", partial(VGG, convolutions=(2, 2, 4, 4, 4))),
    _one("cifar_mobilenetv2", CifarMobileNetV2),
    _one("cifar_shufflev1", CifarShuffleNetV1),
    _one("cifar_shufflev2", CifarShuffleNetV2),
    _one("cifar_resnet18", partial(CifarResNet4, blocks=(2, 2, 2, 2))),
    _one(
        "cifar_resnet50",
        partial(CifarResNet4, blocks=(3, 4, 6, 3), block_type=Bottleneck),
    ),
    _imagenet("imagenet_resnet18", partial(ImageNetResNet, blocks=(2, 2, 2, 2))),
    _imagenet("imagenet_resnet34", partial(ImageNetResNet, blocks=(3, 4, 6, 3))),
    _imagenet(
        "imagenet_resnet50",
        partial(ImageNetResNet, blocks=(3, 4, 6, 3), block_type=Bottleneck),
    ),
    _imagenet(
        "imagenet_resnet101",
        partial(ImageNetResNet, blocks=(3, 4, 23, 3), block_type=Bottleneck),
    ),
    _imagenet(
        "imagenet_resnext101_32x4d",
        partial(ImageNetResNet, blocks=(3, 4, 23, 3), block_type=ResNeXtBottleneck),
    ),
    _imagenet("imagenet_mobilenetv1", MobileNetV1),
)


def create(name: str, num_classes: int = 10, **options: Any) -> nn.Module:
    """Creates the architecture with a given name.

    Args:
      name: such as "cifar_resnet20" or "wide_resnet_34_10" (any depth 6 n + 4, any
        width); `python -m ikl_jax.models` lists the names.
      num_classes: C >= 1.
      **options: fields of the module, such as `dtype` (of the computation),
        `bn_groups`, `bn_momentum`, `normalize` and `remat`.

    Returns:
      A Linen module. It maps images `[B, H, W, K]` in [0, 1] to logits `[B, C]`.

    Raises:
      ValueError: the name is unknown (the error suggests similar ones), or a number in
        it or `num_classes` is not allowed.
      TypeError: the module has no such option.

    Examples:
      >>> import ikl_jax
      >>> ikl_jax.models.create("wide_resnet_10_2", num_classes=7).depth
      10
    """
    checks.positive(num_classes=num_classes)
    for family in FAMILIES:
        match = re.fullmatch(family.pattern, name)
        if match:
            numbers = [int(number) for number in match.groups()]
            return family.build(*numbers, num_classes=num_classes, **options)
    checks.one_of("model", name, [n for f in FAMILIES for n in f.examples])
    raise AssertionError("an example does not match its own pattern")
