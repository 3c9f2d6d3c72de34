"""Residual networks for small images and for ImageNet.

References: He et al., "Deep Residual Learning for Image Recognition",
https://arxiv.org/abs/1512.03385, 2015; the stride of a bottleneck is that of its 3x3
convolution, as in torchvision. Xie et al., "Aggregated Residual Transformations for
Deep Neural Networks", https://arxiv.org/abs/1611.05431, 2016: ResNeXt.
"""

from functools import partial
from typing import Any, ClassVar

import flax.linen as nn

from ikl_jax.models.family import Family, imagenet, one
from ikl_jax.models.layers import POOL_PADDING, ConvArchitecture, ConvModule
from ikl_jax.types import Array


class ResidualBlock(ConvModule, kw_only=True):
    """The base of the blocks, with the shortcut: a convolution if the shape changes."""

    features: int
    stride: int
    expansion: ClassVar[int] = 1

    @nn.nowrap
    def shortcut(self, x: Array, train: bool) -> Array:
        """The input, in the shape of the block's output."""
        features = self.features * self.expansion
        if self.stride == 1 and x.shape[-1] == features:
            return x
        x = self.conv(x, features, 1, stride=self.stride, name="shortcut")
        return self.norm(x, train, name="shortcut_norm")


class BasicBlock(ResidualBlock, kw_only=True):
    """Two 3x3 convolutions."""

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        out = self.conv(x, self.features, 3, stride=self.stride, name="conv1")
        out = nn.relu(self.norm(out, train, name="norm1"))
        out = self.conv(out, self.features, 3, name="conv2")
        out = self.norm(out, train, name="norm2")
        return nn.relu(out + self.shortcut(x, train))


class Bottleneck(ResidualBlock, kw_only=True):
    """A 3x3 convolution between two 1x1 ones; the last has four times the channels."""

    expansion: ClassVar[int] = 4
    widening: ClassVar[int] = 1  # of the 3x3 convolution
    groups: ClassVar[int] = 1  # groups of channels in the 3x3 convolution

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        width = self.features * self.widening
        out = self.conv(x, width, 1, name="conv1")
        out = nn.relu(self.norm(out, train, name="norm1"))
        out = self.conv(
            out, width, 3, stride=self.stride, groups=self.groups, name="conv2"
        )
        out = nn.relu(self.norm(out, train, name="norm2"))
        out = self.conv(out, self.features * self.expansion, 1, name="conv3")
        out = self.norm(out, train, name="norm3")
        return nn.relu(out + self.shortcut(x, train))


class ResNeXtBottleneck(Bottleneck, kw_only=True):
    """A bottleneck with 32 groups of channels, of 4 channels at 64 features (32x4d)."""

    widening: ClassVar[int] = 2
    groups: ClassVar[int] = 32


class ResNet(ConvArchitecture, kw_only=True):
    """A stem and groups of blocks. Every group but the first halves the resolution.

    Attributes:
      stem_features: channels of the stem.
      features: channels of the blocks, for each group.
      blocks: number of blocks, for each group.
      block_type: BasicBlock or Bottleneck.
    """

    stem_features: int
    features: tuple[int, ...]
    blocks: tuple[int, ...]
    block_type: type[ResidualBlock] = BasicBlock

    torch_names: ClassVar[tuple[tuple[str, str], ...]] = (
        (r"stem", "conv1"),
        (r"stem_norm", "bn1"),
        (r"classifier", "fc"),
        (r"group(\d+)_block(\d+)", r"layer\1.\2"),
        (r"norm(\d)", r"bn\1"),
        (r"shortcut", "downsample.0"),
        (r"shortcut_norm", "downsample.1"),
    )

    @nn.nowrap
    def stem(self, x: Array, train: bool) -> Array:
        """The layers before the first group."""
        x = self.conv(x, self.stem_features, 3, name="stem")
        return nn.relu(self.norm(x, train, name="stem_norm"))

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        x = self.stem(self.prepared(x), train)
        groups = zip(self.features, self.blocks, strict=True)
        for group, (features, blocks) in enumerate(groups, 1):
            for index in range(blocks):
                block = self.block(
                    self.block_type,
                    features=features,
                    stride=2 if index == 0 and group > 1 else 1,
                    name=f"group{group}_block{index}",
                )
                x = block(x, train)
        return self.classified(x)


class CifarResNet4(ResNet, kw_only=True):
    """The four groups of ImageNet's networks, with a stem for small images."""

    stem_features: int = 64
    features: tuple[int, ...] = (64, 128, 256, 512)

    torch_names: ClassVar[tuple[tuple[str, str], ...]] = (
        (r"shortcut", "shortcut.0"),
        (r"shortcut_norm", "shortcut.1"),
        (r"classifier", "linear"),
        *ResNet.torch_names,
    )


class ImageNetResNet(ResNet, kw_only=True):
    """torchvision's ResNets, whose stem divides the resolution by four."""

    stem_features: int = 64
    features: tuple[int, ...] = (64, 128, 256, 512)

    @nn.nowrap
    def stem(self, x: Array, train: bool) -> Array:
        x = self.conv(x, self.stem_features, 7, stride=2, name="stem")
        x = nn.relu(self.norm(x, train, name="stem_norm"))
        return nn.max_pool(x, (3, 3), (2, 2), POOL_PADDING)


def _cifar_resnet(depth: int, **options: Any) -> nn.Module:
    blocks = ((depth - 2) // 6,) * 3
    return ResNet(stem_features=16, features=(16, 32, 64), blocks=blocks, **options)


def _cifar_resnet_x4(depth: int, **options: Any) -> nn.Module:
    blocks = ((depth - 2) // 6,) * 3
    return ResNet(stem_features=32, features=(64, 128, 256), blocks=blocks, **options)


_DEPTHS = (8, 14, 20, 32, 44, 56, 110)
RESNETS = (
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
    one("cifar_resnet18", partial(CifarResNet4, blocks=(2, 2, 2, 2))),
    one(
        "cifar_resnet50",
        partial(CifarResNet4, blocks=(3, 4, 6, 3), block_type=Bottleneck),
    ),
    imagenet("imagenet_resnet18", partial(ImageNetResNet, blocks=(2, 2, 2, 2))),
    imagenet("imagenet_resnet34", partial(ImageNetResNet, blocks=(3, 4, 6, 3))),
    imagenet(
        "imagenet_resnet50",
        partial(ImageNetResNet, blocks=(3, 4, 6, 3), block_type=Bottleneck),
    ),
    imagenet(
        "imagenet_resnet101",
        partial(ImageNetResNet, blocks=(3, 4, 23, 3), block_type=Bottleneck),
    ),
    imagenet(
        "imagenet_resnext101_32x4d",
        partial(ImageNetResNet, blocks=(3, 4, 23, 3), block_type=ResNeXtBottleneck),
    ),
)
