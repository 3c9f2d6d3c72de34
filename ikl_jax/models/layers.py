"""What architectures with convolutions share: convolutions padded like torch's."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from ikl_jax.models.architecture import Architecture
from ikl_jax.models.batch_norm import BatchNorm
from ikl_jax.types import Array

# torch's `padding=1` for pooling. Flax accepts pairs although its annotation is `str`.
POOL_PADDING: Any = ((1, 1), (1, 1))
_fan_out = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


class ConvModule(nn.Module, kw_only=True):
    """A module with methods that add a convolution or a BatchNorm layer.

    Attributes:
      dtype: of the computation; parameters and statistics stay float32.
      bn_groups: number of parts of the batch that BatchNorm normalises separately.
      bn_momentum: share of the batch in BatchNorm's running statistics.
    """

    dtype: jnp.dtype = jnp.float32
    bn_groups: int = 1
    bn_momentum: float = 0.1

    @nn.nowrap
    def conv(
        self,
        x: Array,
        features: int,
        size: int,
        *,
        name: str,
        stride: int = 1,
        groups: int = 1,
        use_bias: bool = False,
        padding: Sequence[tuple[int, int]] | None = None,
    ) -> Array:
        """A square convolution. `padding=None` pads both sides by half of its size.

        torch pads so at stride 2, too, where "SAME" would pad one side only.
        """
        layer = nn.Conv(
            features,
            (size, size),
            strides=stride,
            padding=size // 2 if padding is None else padding,
            feature_group_count=groups,
            use_bias=use_bias,
            dtype=self.dtype,
            kernel_init=_fan_out,
            name=name,
        )
        return layer(x)

    @nn.nowrap
    def depthwise(self, x: Array, *, name: str, stride: int = 1) -> Array:
        """A 3x3 convolution of each channel separately."""
        channels = x.shape[-1]
        return self.conv(x, channels, 3, stride=stride, groups=channels, name=name)

    @nn.nowrap
    def norm(self, x: Array, train: bool, *, name: str) -> Array:
        """A BatchNorm layer."""
        layer = BatchNorm(self.bn_groups, self.bn_momentum, dtype=self.dtype, name=name)
        return layer(x, train=train)


class ConvArchitecture(Architecture, ConvModule, kw_only=True):
    """The base class of architectures with convolutions and BatchNorm.

    With `train=True`, BatchNorm uses the statistics of the batch and updates the
    collection "batch_stats"; otherwise it uses the running averages. The options are
    those of `Architecture` and of `ConvModule`.
    """

    @nn.nowrap
    def block(self, block_type: type[ConvModule], *, name: str, **fields: Any) -> Any:
        """Creates a block, which is called with an array and `train`."""
        if self.remat:
            # Argument 2, `train`, is not an array (argument 0 is `self`).
            block_type = nn.remat(block_type, static_argnums=(2,))
        return block_type(
            **fields,
            dtype=self.dtype,
            bn_groups=self.bn_groups,
            bn_momentum=self.bn_momentum,
            name=name,
        )

    @nn.nowrap
    def classified(self, x: Array) -> Array:
        """The logits from the mean over all positions."""
        dtype = jnp.promote_types(self.dtype, jnp.float32)
        return self.logits(jnp.mean(x.astype(dtype), axis=(1, 2)))


def channel_shuffle(x: Array, groups: int) -> Array:
    """Interleaves the channels of `groups` neighbouring parts."""
    parts = x.reshape(*x.shape[:-1], groups, -1)
    return jnp.swapaxes(parts, -1, -2).reshape(x.shape)
