"""VGG with BatchNorm for small images.

Reference: Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale
Image Recognition", https://arxiv.org/abs/1409.1556, 2014.
"""

from functools import partial
from typing import ClassVar

import flax.linen as nn

from ikl_jax.models.family import one
from ikl_jax.models.layers import ConvArchitecture, ConvModule
from ikl_jax.types import Array

FEATURES = (64, 128, 256, 512, 512)


class ConvBlock(ConvModule, kw_only=True):
    """3x3 convolutions of one width, with biases although BatchNorm follows."""

    features: int
    convolutions: int

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        for index in range(1, self.convolutions + 1):
            x = self.conv(x, self.features, 3, use_bias=True, name=f"conv{index}")
            x = nn.relu(self.norm(x, train, name=f"norm{index}"))
        return x


class VGG(ConvArchitecture, kw_only=True):
    """Five blocks of convolutions.

    The resolution is halved after each of the first three blocks. For images of 64 x 64
    or more it is also halved after the fourth.

    Attributes:
      convolutions: number of convolutions, for each block.
    """

    convolutions: tuple[int, int, int, int, int]

    torch_names: ClassVar[tuple[tuple[str, str], ...]] = (
        *((rf"conv{index}", f"{3 * index - 3}") for index in range(1, 5)),
        *((rf"norm{index}", f"{3 * index - 2}") for index in range(1, 5)),
    )

    input_layer: ClassVar[tuple[str, ...]] = ("block0", "conv1")

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        size = min(x.shape[1:3])
        if size < 8:
            raise ValueError(f"VGG needs images of 8 x 8 or more, got {x.shape[1:3]}")
        x = self.prepared(x)
        halved = 4 if size >= 64 else 3
        for index, (features, convolutions) in enumerate(
            zip(FEATURES, self.convolutions, strict=True)
        ):
            block = self.block(
                ConvBlock,
                features=features,
                convolutions=convolutions,
                name=f"block{index}",
            )
            x = block(x, train)
            if index < halved:
                x = nn.max_pool(x, (2, 2), (2, 2))
        return self.classified(x)


VGGS = tuple(
    one(f"cifar_vgg{depth}", partial(VGG, convolutions=convolutions))
    for depth, convolutions in (
        (8, (1, 1, 1, 1, 1)),
        (11, (1, 1, 2, 2, 2)),
        (13, (2, 2, 2, 2, 2)),
        (16, (2, 2, 3, 3, 3)),
        (19, (2, 2, 4, 4, 4)),
    )
)
