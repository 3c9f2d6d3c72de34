"""Wide residual networks with pre-activation, as robust training uses them.

Reference: Zagoruyko and Komodakis, "Wide Residual Networks",
https://arxiv.org/abs/1605.07146, 2016, in the variant of TRADES and AWP: where a
block changes the width, its shortcut starts from the activated input.
"""

from functools import partial

import flax.linen as nn
import jax.numpy as jnp

from ikl_jax.models.batch_norm import BatchNorm
from ikl_jax.types import Array

# Both sides padded by one at stride 2 too, as torch does; "SAME" would pad one side.
_Conv3x3 = partial(
    nn.Conv,
    kernel_size=(3, 3),
    padding=1,
    use_bias=False,
    kernel_init=nn.initializers.variance_scaling(2.0, "fan_out", "normal"),
)
_Conv1x1 = partial(
    nn.Conv,
    kernel_size=(1, 1),
    padding=0,
    use_bias=False,
    kernel_init=nn.initializers.variance_scaling(2.0, "fan_out", "normal"),
)


class Block(nn.Module):
    """BatchNorm, ReLU, convolution, twice, around a shortcut."""

    features: int
    stride: int
    dtype: jnp.dtype
    bn_groups: int

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        norm = partial(BatchNorm, self.bn_groups, dtype=self.dtype)
        activated = nn.relu(norm(name="norm1")(x, train=train))
        out = _Conv3x3(
            self.features, strides=self.stride, dtype=self.dtype, name="conv1"
        )(activated)
        out = nn.relu(norm(name="norm2")(out, train=train))
        out = _Conv3x3(self.features, dtype=self.dtype, name="conv2")(out)
        if x.shape[-1] != self.features:
            x = _Conv1x1(
                self.features, strides=self.stride, dtype=self.dtype, name="shortcut"
            )(activated)
        return out + x


class WideResNet(nn.Module):
    """Three groups of blocks, at full, half and quarter resolution.

    Input `[B, H, W, K]` in [0, 1]; output float32 `[B, C]`. BatchNorm statistics are
    those of the batch in training (`train=True`, collection "batch_stats"), and the
    running averages otherwise.

    Attributes:
      depth: 6 n + 4 for n blocks a group.
      width: multiple of 16, 32 and 64 channels.
      num_classes: C.
      dtype: of the computation; parameters, statistics and the classifier stay
        float32.
      bn_groups: parts of the batch that BatchNorm treats as batches of their own.
      remat: a block's activations are not kept for its gradient but computed again;
        memory then grows with the blocks' inputs alone. Results and the names of
        parameters do not change.
    """

    depth: int
    width: int
    num_classes: int = 10
    dtype: jnp.dtype = jnp.float32
    bn_groups: int = 1
    remat: bool = False

    def __post_init__(self) -> None:
        if self.depth < 10 or (self.depth - 4) % 6:
            raise ValueError(f"depth must be 10, 16, 22, 28, ..., got {self.depth}")
        if self.width < 1:
            raise ValueError(f"width must be >= 1, got {self.width}")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        x = _Conv3x3(16, dtype=self.dtype, name="stem")(x.astype(self.dtype))
        # Counted with `self` as 0: `train` is no array to trace.
        block_type = nn.remat(Block, static_argnums=(2,)) if self.remat else Block
        for group, (channels, stride) in enumerate(((16, 1), (32, 2), (64, 2)), 1):
            for block in range((self.depth - 4) // 6):
                x = block_type(
                    channels * self.width,
                    stride if block == 0 else 1,
                    self.dtype,
                    self.bn_groups,
                    name=f"group{group}_block{block}",
                )(x, train)
        norm = BatchNorm(self.bn_groups, dtype=self.dtype, name="norm")
        x = nn.relu(norm(x, train=train))
        x = jnp.mean(x.astype(jnp.float32), axis=(1, 2))
        return nn.Dense(self.num_classes, dtype=jnp.float32, name="classifier")(x)
