"""MobileNets: V1 for ImageNet, V2 of half width for small images.

References: Howard et al., "MobileNets", https://arxiv.org/abs/1704.04861, 2017; Sandler
et al., "MobileNetV2", https://arxiv.org/abs/1801.04381, 2018. The published recipes use
ReLU instead of ReLU6, and so do these.
"""

from typing import ClassVar

import flax.linen as nn

from ikl_jax.models.family import imagenet, one
from ikl_jax.models.layers import ConvArchitecture, ConvModule
from ikl_jax.types import Array

# (features, stride) of each block, and (features, blocks, stride) of each group.
V1_BLOCKS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 1),
    (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip
V2_GROUPS = (
    (8, 1, 1), (12, 2, 1), (16, 3, 2), (32, 4, 2), (48, 3, 1), (80, 3, 2), (160, 1, 1),
)  # fmt: skip


class SeparableBlock(ConvModule, kw_only=True):
    """A depthwise convolution, then a 1x1 convolution."""

    features: int
    stride: int

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        x = self.depthwise(x, stride=self.stride, name="depthwise")
        x = nn.relu(self.norm(x, train, name="depthwise_norm"))
        x = self.conv(x, self.features, 1, name="pointwise")
        return nn.relu(self.norm(x, train, name="pointwise_norm"))


class MobileNetV1(ConvArchitecture, kw_only=True):
    """A stem and thirteen separable blocks; the resolution is divided by 32."""

    torch_names: ClassVar[tuple[tuple[str, str], ...]] = (
        (r"stem", "model.0.0"),
        (r"stem_norm", "model.0.1"),
        (r"block(\d+)", r"model.\1"),
        (r"depthwise", "0"),
        (r"depthwise_norm", "1"),
        (r"pointwise", "3"),
        (r"pointwise_norm", "4"),
        (r"classifier", "fc"),
    )

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        x = self.conv(self.prepared(x), 32, 3, stride=2, name="stem")
        x = nn.relu(self.norm(x, train, name="stem_norm"))
        for index, (features, stride) in enumerate(V1_BLOCKS, 1):
            block = self.block(
                SeparableBlock, features=features, stride=stride, name=f"block{index}"
            )
            x = block(x, train)
        return self.classified(x)


class InvertedBlock(ConvModule, kw_only=True):
    """Expands the channels, applies a depthwise convolution, and projects back."""

    features: int
    stride: int
    expansion: int

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        out = self.conv(x, x.shape[-1] * self.expansion, 1, name="expand")
        out = nn.relu(self.norm(out, train, name="expand_norm"))
        out = self.depthwise(out, stride=self.stride, name="depthwise")
        out = nn.relu(self.norm(out, train, name="depthwise_norm"))
        out = self.conv(out, self.features, 1, name="project")
        out = self.norm(out, train, name="project_norm")
        return out + x if out.shape == x.shape else out


class CifarMobileNetV2(ConvArchitecture, kw_only=True):
    """A stem, seven groups of inverted blocks, and a wide last convolution.

    The resolution is divided by 16.
    """

    torch_names: ClassVar[tuple[tuple[str, str], ...]] = (
        (r"stem", "conv1.0"),
        (r"stem_norm", "conv1.1"),
        (r"group(\d+)_block(\d+)", r"blocks.\1.\2"),
        (r"expand", "conv.0"),
        (r"expand_norm", "conv.1"),
        (r"depthwise", "conv.3"),
        (r"depthwise_norm", "conv.4"),
        (r"project", "conv.6"),
        (r"project_norm", "conv.7"),
        (r"head", "conv2.0"),
        (r"head_norm", "conv2.1"),
        (r"classifier", "classifier.0"),
    )

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        x = self.conv(self.prepared(x), 16, 3, stride=2, name="stem")
        x = nn.relu(self.norm(x, train, name="stem_norm"))
        for group, (features, blocks, stride) in enumerate(V2_GROUPS):
            for index in range(blocks):
                block = self.block(
                    InvertedBlock,
                    features=features,
                    stride=stride if index == 0 else 1,
                    expansion=6 if group else 1,
                    name=f"group{group}_block{index}",
                )
                x = block(x, train)
        x = self.conv(x, 1280, 1, name="head")
        return self.classified(nn.relu(self.norm(x, train, name="head_norm")))


MOBILENETS = (
    one("cifar_mobilenetv2", CifarMobileNetV2),
    imagenet("imagenet_mobilenetv1", MobileNetV1),
)
