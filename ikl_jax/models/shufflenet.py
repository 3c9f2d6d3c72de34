"""ShuffleNets for small images.

References: Zhang et al., "ShuffleNet", https://arxiv.org/abs/1707.01083, 2017; Ma et
al., "ShuffleNet V2", https://arxiv.org/abs/1807.11164, 2018.
"""

from typing import ClassVar

import flax.linen as nn
import jax.numpy as jnp

from ikl_jax.models.family import one
from ikl_jax.models.layers import (
    POOL_PADDING,
    ConvArchitecture,
    ConvModule,
    channel_shuffle,
)
from ikl_jax.types import Array

# (features, blocks) of each group; each starts by halving the resolution.
V1_GROUPS = ((240, 4), (480, 8), (960, 4))
V2_GROUPS = ((116, 4), (232, 8), (464, 4))
_TORCH_NAMES = (
    (r"stem", "conv1"),
    (r"stem_norm", "bn1"),
    (r"group(\d+)_block(\d+)", r"layer\1.\2"),
    (r"norm(\d)", r"bn\1"),
    (r"head", "conv2"),
    (r"head_norm", "bn2"),
    (r"classifier", "linear"),
)


class GroupedBlock(ConvModule, kw_only=True):
    """A depthwise convolution between two grouped 1x1 ones, with shuffled channels.

    A block of stride 2 appends the average-pooled input to its own channels.
    """

    features: int
    stride: int
    first_groups: int
    groups: int = 3

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        features = self.features - (x.shape[-1] if self.stride == 2 else 0)
        out = self.conv(x, features // 4, 1, groups=self.first_groups, name="conv1")
        out = nn.relu(self.norm(out, train, name="norm1"))
        out = channel_shuffle(out, self.first_groups)
        out = self.depthwise(out, stride=self.stride, name="conv2")
        out = nn.relu(self.norm(out, train, name="norm2"))
        out = self.conv(out, features, 1, groups=self.groups, name="conv3")
        out = self.norm(out, train, name="norm3")
        if self.stride == 1:
            return nn.relu(out + x)
        x = nn.avg_pool(x, (3, 3), (2, 2), POOL_PADDING)
        return nn.relu(jnp.concatenate([out, x], axis=-1))


class CifarShuffleNetV1(ConvArchitecture, kw_only=True):
    """A 1x1 stem and three groups of blocks; convolutions have three channel groups."""

    torch_names: ClassVar[tuple[tuple[str, str], ...]] = _TORCH_NAMES

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        x = self.conv(self.prepared(x), 24, 1, name="stem")
        x = nn.relu(self.norm(x, train, name="stem_norm"))
        for group, (features, blocks) in enumerate(V1_GROUPS, 1):
            for index in range(blocks):
                block = self.block(
                    GroupedBlock,
                    features=features,
                    stride=2 if index == 0 else 1,
                    first_groups=1 if group == 1 and index == 0 else 3,
                    name=f"group{group}_block{index}",
                )
                x = block(x, train)
        return self.classified(x)


class SplitBlock(ConvModule, kw_only=True):
    """Convolutions on one half of the channels; the other half stays as it is."""

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        kept, out = jnp.split(x, 2, axis=-1)
        features = out.shape[-1]
        out = self.conv(out, features, 1, name="conv1")
        out = nn.relu(self.norm(out, train, name="norm1"))
        out = self.depthwise(out, name="conv2")
        out = self.norm(out, train, name="norm2")
        out = self.conv(out, features, 1, name="conv3")
        out = nn.relu(self.norm(out, train, name="norm3"))
        return channel_shuffle(jnp.concatenate([kept, out], axis=-1), 2)


class DownBlock(ConvModule, kw_only=True):
    """Halves the resolution in two branches, which yield half of the channels each."""

    features: int

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        left = self.depthwise(x, stride=2, name="conv1")
        left = self.norm(left, train, name="norm1")
        left = self.conv(left, self.features // 2, 1, name="conv2")
        left = nn.relu(self.norm(left, train, name="norm2"))
        right = self.conv(x, self.features // 2, 1, name="conv3")
        right = nn.relu(self.norm(right, train, name="norm3"))
        right = self.depthwise(right, stride=2, name="conv4")
        right = self.norm(right, train, name="norm4")
        right = self.conv(right, self.features // 2, 1, name="conv5")
        right = nn.relu(self.norm(right, train, name="norm5"))
        return channel_shuffle(jnp.concatenate([left, right], axis=-1), 2)


class CifarShuffleNetV2(ConvArchitecture, kw_only=True):
    """A 1x1 stem, three groups of blocks, and a wide last convolution."""

    torch_names: ClassVar[tuple[tuple[str, str], ...]] = _TORCH_NAMES

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        x = self.conv(self.prepared(x), 24, 1, name="stem")
        x = nn.relu(self.norm(x, train, name="stem_norm"))
        for group, (features, blocks) in enumerate(V2_GROUPS, 1):
            down = self.block(DownBlock, features=features, name=f"group{group}_block0")
            x = down(x, train)
            for index in range(1, blocks):
                x = self.block(SplitBlock, name=f"group{group}_block{index}")(x, train)
        x = self.conv(x, 1024, 1, name="head")
        return self.classified(nn.relu(self.norm(x, train, name="head_norm")))


SHUFFLENETS = (
    one("cifar_shufflev1", CifarShuffleNetV1),
    one("cifar_shufflev2", CifarShuffleNetV2),
)
