"""What the architectures share: convolutions as torch pads them, heads, options."""

from collections.abc import Sequence
from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp

from ikl_jax.models.batch_norm import BatchNorm
from ikl_jax.types import Array

Normalize = tuple[tuple[float, ...], tuple[float, ...]]
# Of pooling: as torch's `padding=1`. Flax takes pairs although it is annotated "str".
POOL_PADDING: Any = ((1, 1), (1, 1))
_fan_out = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


class ConvModule(nn.Module, kw_only=True):
    """A part of a network, with the layers that its method `__call__` may use.

    Attributes:
      dtype: of the computation; parameters and statistics stay float32.
      bn_groups: parts of the batch that BatchNorm treats as batches of their own.
      bn_momentum: share of the batch's in BatchNorm's running statistics.
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
        """A square convolution; None: padded on both sides, by half its size.

        So torch pads at stride 2 too, where "SAME" would pad one side only.
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
        """A 3x3 convolution of every channel by itself."""
        channels = x.shape[-1]
        return self.conv(x, channels, 3, stride=stride, groups=channels, name=name)

    @nn.nowrap
    def norm(self, x: Array, train: bool, *, name: str) -> Array:
        layer = BatchNorm(self.bn_groups, self.bn_momentum, dtype=self.dtype, name=name)
        return layer(x, train=train)


class Network(ConvModule, kw_only=True):
    """The options that every architecture but "cnn" has.

    Input `[B, H, W, K]` in [0, 1], of any number K of channels; output float32
    `[B, C]`. BatchNorm statistics are those of the batch in training (`train=True`,
    collection "batch_stats"), and the running averages otherwise.

    Attributes:
      num_classes: C.
      dtype: of the computation; parameters and statistics stay float32, and so does
        the classifier, except that it computes in float64 if the rest does.
      bn_groups: parts of the batch that BatchNorm treats as batches of their own.
      bn_momentum: share of the batch's in BatchNorm's running statistics, in [0, 1].
      normalize: (mean, deviation), each with a number a channel, by which the input is
        normalised; None: it is taken as it is.
      remat: a block's activations are not kept for its gradient but computed again;
        memory then grows with the blocks' inputs alone. Results and the names of
        parameters do not change.
    """

    num_classes: int = 10
    normalize: Normalize | None = None
    remat: bool = False

    # How torch calls the layers: (pattern, replacement), tried in this order on each
    # part of a path of ours. What matches no pattern is called the same.
    torch_names: ClassVar[tuple[tuple[str, str], ...]] = ()
    input_layer: ClassVar[tuple[str, ...]] = ("stem",)

    def __post_init__(self) -> None:
        if self.normalize is not None:
            self.normalize = _checked(self.normalize)
        super().__post_init__()

    @nn.nowrap
    def prepared(self, x: Array) -> Array:
        """Images, normalised if wanted, in the dtype of the computation."""
        if self.normalize is None:
            return x.astype(self.dtype)
        mean, deviation = self.normalize
        if x.shape[-1] != len(mean):
            raise ValueError(
                f"normalize must have a mean and a deviation for each of the images' "
                f"{x.shape[-1]} channels, or be None, got {len(mean)} of each"
            )
        shape = (1,) * (x.ndim - 1) + (-1,)
        mean, deviation = (
            jnp.asarray(values, x.dtype).reshape(shape) for values in (mean, deviation)
        )
        return ((x - mean) / deviation).astype(self.dtype)

    @nn.nowrap
    def block(self, block_type: type[ConvModule], *, name: str, **fields: Any) -> Any:
        """A block, to be called with an array and `train`."""
        if self.remat:
            # Counted with `self` as 0: `train` is no array to trace.
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
        """Logits of the mean over all places, in float32 (float64 for float64)."""
        dtype = jnp.promote_types(self.dtype, jnp.float32)
        x = jnp.mean(x.astype(dtype), axis=(1, 2))
        return nn.Dense(self.num_classes, dtype=dtype, name="classifier")(x)


def _checked(normalize: Normalize) -> Normalize:
    """Tuples, also of lists: a module is hashable. Raises `ValueError` for others."""
    if len(normalize) != 2 or len(normalize[0]) != len(normalize[1]):
        raise ValueError(
            "normalize must be (mean, deviation) with a number a channel each, "
            f"got {normalize}"
        )
    mean, deviation = map(tuple, normalize)
    if not all(value > 0 for value in deviation):
        raise ValueError(f"normalize's deviations must be > 0, got {deviation}")
    return mean, deviation


def channel_shuffle(x: Array, groups: int) -> Array:
    """Deals the channels of `groups` neighbouring parts out in turn."""
    parts = x.reshape(*x.shape[:-1], groups, -1)
    return jnp.swapaxes(parts, -1, -2).reshape(x.shape)
