"""Residual networks with pre-activation, as in most papers about robust CIFAR training.

Reference: He et al., "Identity Mappings in Deep Residual Networks",
https://arxiv.org/abs/1603.05027, 2016, in the form of the usual torch code for CIFAR:
where a block changes the shape, its shortcut starts from the activated input, and
nothing lies between the last block and the mean over all positions. The variants whose
names end in "_bn" have BatchNorm and a ReLU there, as in Rice et al., "Overfitting in
adversarially robust deep learning", https://arxiv.org/abs/2002.11569, 2020.
"""

from functools import partial
from typing import ClassVar

import flax.linen as nn

from ikl_jax.models.family import Family, one
from ikl_jax.models.layers import ConvArchitecture, ConvModule
from ikl_jax.types import Array


class PreActBlock(ConvModule, kw_only=True):
    """Twice BatchNorm, ReLU and a 3x3 convolution, with a shortcut around them."""

    features: int
    stride: int
    expansion: ClassVar[int] = 1

    @nn.nowrap
    def activated(self, x: Array, train: bool, *, name: str) -> Array:
        """BatchNorm and ReLU."""
        return nn.relu(self.norm(x, train, name=name))

    @nn.nowrap
    def shortcut(self, x: Array, activated: Array) -> Array:
        """The input; if the shape changes, a convolution of the activated input."""
        features = self.features * self.expansion
        if self.stride == 1 and x.shape[-1] == features:
            return x
        return self.conv(activated, features, 1, stride=self.stride, name="shortcut")

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        activated = self.activated(x, train, name="norm1")
        out = self.conv(activated, self.features, 3, stride=self.stride, name="conv1")
        out = self.activated(out, train, name="norm2")
        out = self.conv(out, self.features, 3, name="conv2")
        return out + self.shortcut(x, activated)


class PreActBottleneck(PreActBlock, kw_only=True):
    """A 3x3 convolution between two 1x1 ones; the last has four times the channels."""

    expansion: ClassVar[int] = 4

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        activated = self.activated(x, train, name="norm1")
        out = self.conv(activated, self.features, 1, name="conv1")
        out = self.activated(out, train, name="norm2")
        out = self.conv(out, self.features, 3, stride=self.stride, name="conv2")
        out = self.activated(out, train, name="norm3")
        out = self.conv(out, self.features * self.expansion, 1, name="conv3")
        return out + self.shortcut(x, activated)


class PreActResNet(ConvArchitecture, kw_only=True):
    """Four groups of blocks. Every group but the first halves the resolution.

    Attributes:
      blocks: number of blocks, for each group.
      block_type: PreActBlock or PreActBottleneck.
    """

    blocks: tuple[int, ...]
    block_type: type[PreActBlock] = PreActBlock

    torch_names: ClassVar[tuple[tuple[str, str], ...]] = (
        (r"stem", "conv1"),
        (r"norm", "bn"),
        (r"classifier", "linear"),
        (r"group(\d+)_block(\d+)", r"layer\1.\2"),
        (r"norm(\d)", r"bn\1"),
        (r"shortcut", "shortcut.0"),
    )
    torch_names_of_others: ClassVar[tuple[str, ...]] = ("bn",)

    @nn.nowrap
    def last(self, x: Array, train: bool) -> Array:
        """What lies between the last block and the mean over all positions."""
        del train
        return x

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        x = self.conv(self.prepared(x), 64, 3, name="stem")
        for group, blocks in enumerate(self.blocks, 1):
            for index in range(blocks):
                block = self.block(
                    self.block_type,
                    features=64 * 2 ** (group - 1),
                    stride=2 if index == 0 and group > 1 else 1,
                    name=f"group{group}_block{index}",
                )
                x = block(x, train)
        return self.classified(self.last(x, train))


class PreActResNetBN(PreActResNet, kw_only=True):
    """The variant with BatchNorm and a ReLU after the last block."""

    torch_names_of_others: ClassVar[tuple[str, ...]] = ()

    @nn.nowrap
    def last(self, x: Array, train: bool) -> Array:
        return nn.relu(self.norm(x, train, name="norm"))


def _pair(depth: int, **fields: object) -> tuple[Family, Family]:
    """A network and its variant with BatchNorm at the end."""
    name = f"preact_resnet{depth}"
    return (
        one(name, partial(PreActResNet, **fields)),
        one(f"{name}_bn", partial(PreActResNetBN, **fields)),
    )


PREACT_RESNETS = (
    *_pair(18, blocks=(2, 2, 2, 2)),
    *_pair(50, blocks=(3, 4, 6, 3), block_type=PreActBottleneck),
)
