"""Wide residual networks with pre-activation, as used in robust training.

Reference: Zagoruyko and Komodakis, "Wide Residual Networks",
https://arxiv.org/abs/1605.07146, 2016, in the variant of TRADES and AWP: where a
block changes the width, its shortcut starts from the activated input.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import flax.linen as nn

from ikl_jax.models.architecture import Normalize
from ikl_jax.models.family import Family
from ikl_jax.models.layers import ConvArchitecture, ConvModule
from ikl_jax.types import Array

CIFAR10_NORMALIZE = ((0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616))


class PreActivationBlock(ConvModule, kw_only=True):
    """Twice BatchNorm, activation and convolution, with a shortcut around them."""

    features: int
    stride: int
    activation: Callable[[Array], Array]
    padding: Sequence[tuple[int, int]] | None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        activated = self.activation(self.norm(x, train, name="norm1"))
        out = self.conv(
            activated,
            self.features,
            3,
            stride=self.stride,
            padding=self.padding,
            name="conv1",
        )
        out = self.activation(self.norm(out, train, name="norm2"))
        out = self.conv(out, self.features, 3, name="conv2")
        if x.shape[-1] != self.features:
            x = self.conv(
                activated, self.features, 1, stride=self.stride, name="shortcut"
            )
        return out + x


class WideResNet(ConvArchitecture, kw_only=True):
    """Three groups of blocks, at full, half and quarter resolution.

    Attributes:
      depth: 6 n + 4, for n blocks in each group.
      width: factor of the 16, 32 and 64 channels of the three groups.
      activation: the function after each BatchNorm.
      strided_padding: padding (before, after) of the rows and of the columns in
        convolutions of stride 2. None: one on each side.
    """

    depth: int
    width: int
    activation: Callable[[Array], Array] = nn.relu
    strided_padding: Sequence[tuple[int, int]] | None = None

    torch_names: ClassVar[tuple[tuple[str, str], ...]] = (
        (r"stem", "conv1"),
        (r"norm", "bn1"),
        (r"classifier", "fc"),
        (r"group(\d+)_block(\d+)", r"block\1.layer.\2"),
        (r"norm(\d)", r"bn\1"),
        (r"shortcut", "convShortcut"),
    )

    def __post_init__(self) -> None:
        if self.depth < 10 or (self.depth - 4) % 6:
            raise ValueError(f"depth must be 10, 16, 22, 28, ..., got {self.depth}")
        if self.width < 1:
            raise ValueError(f"width must be >= 1, got {self.width}")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        x = self.conv(self.prepared(x), 16, 3, name="stem")
        for group, (channels, stride) in enumerate(((16, 1), (32, 2), (64, 2)), 1):
            for index in range((self.depth - 4) // 6):
                strided = index == 0 and stride == 2
                block = self.block(
                    PreActivationBlock,
                    features=channels * self.width,
                    stride=stride if strided else 1,
                    activation=self.activation,
                    padding=self.strided_padding if strided else None,
                    name=f"group{group}_block{index}",
                )
                x = block(x, train)
        return self.classified(self.activation(self.norm(x, train, name="norm")))


class WideResNetSwish(WideResNet, kw_only=True):
    """The variant for synthetic data: swish, and "SAME" padding at stride 2.

    "SAME" is as in TensorFlow. The input is normalised by CIFAR-10's statistics unless
    `normalize` is given. The published networks for CIFAR-100 use that data set's.

    Reference: Gowal et al., "Improving Robustness using Generated Data",
    https://arxiv.org/abs/2110.09468, 2021.
    """

    normalize: Normalize | None = CIFAR10_NORMALIZE
    activation: Callable[[Array], Array] = nn.swish
    strided_padding: Sequence[tuple[int, int]] | None = ((0, 1), (0, 1))

    torch_names: ClassVar[tuple[tuple[str, str], ...]] = (
        (r"stem", "init_conv"),
        (r"norm", "batchnorm"),
        (r"classifier", "logits"),
        (r"group1_block(\d+)", r"layer.0.block.\1"),
        (r"group2_block(\d+)", r"layer.1.block.\1"),
        (r"group3_block(\d+)", r"layer.2.block.\1"),
        (r"norm1", "batchnorm_0"),
        (r"norm2", "batchnorm_1"),
        (r"conv1", "conv_0"),
        (r"conv2", "conv_1"),
    )


def _wide_resnet(depth: int, width: int, **options: Any) -> nn.Module:
    return WideResNet(depth=depth, width=width, **options)


def _wide_resnet_swish(depth: int, width: int, **options: Any) -> nn.Module:
    return WideResNetSwish(depth=depth, width=width, **options)


WIDE_RESNETS = (
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
        r"cifar_wrn_(\d+)_(\d+)",
        ("cifar_wrn_16_1", "cifar_wrn_16_2", "cifar_wrn_40_1", "cifar_wrn_40_2"),
        _wide_resnet,
    ),
)
