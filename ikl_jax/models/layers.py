"""What the architectures share: convolutions padded like torch's, heads, options."""

from collections.abc import Sequence
from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp

from ikl_jax.models.batch_norm import BatchNorm
from ikl_jax.types import Array

Normalize = tuple[tuple[float, ...], tuple[float, ...]]
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


class Architecture(ConvModule, kw_only=True):
    """The base class of every architecture but "cnn", with the options of all.

    It maps images `[B, H, W, K]` in [0, 1], with any number K of channels, to float32
    logits `[B, C]`. With `train=True`, BatchNorm uses the statistics of the batch and
    updates the collection "batch_stats"; otherwise it uses the running averages.

    Attributes:
      num_classes: C.
      dtype: of the computation. Parameters and statistics stay float32. The classifier
        computes in float32, or in float64 if the rest does.
      bn_groups: number of parts of the batch that BatchNorm normalises separately.
      bn_momentum: share of the batch in BatchNorm's running statistics, in [0, 1].
      normalize: (mean, deviation), by which the input is normalised, with one number
        for each channel in both. None: no normalisation.
      remat: do not keep the activations of a block for its gradient, but compute them
        again. Memory then grows with the inputs of the blocks alone. Results and the
        names of parameters do not change.
    """

    num_classes: int = 10
    normalize: Normalize | None = None
    remat: bool = False

    # torch's names of the layers: (pattern, replacement), tried in this order on each
    # component of a parameter's path here. A component that matches no pattern has the
    # same name in torch.
    torch_names: ClassVar[tuple[tuple[str, str], ...]] = ()
    input_layer: ClassVar[tuple[str, ...]] = ("stem",)
    classifier_layer: ClassVar[tuple[str, ...]] = ("classifier",)

    def __post_init__(self) -> None:
        if self.normalize is not None:
            self.normalize = _checked(self.normalize)
        super().__post_init__()

    @nn.nowrap
    def prepared(self, x: Array) -> Array:
        """The images, normalised by `normalize`, in the dtype of the computation."""
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
        """The logits, in float32 or wider, from the mean over all positions."""
        dtype = jnp.promote_types(self.dtype, jnp.float32)
        x = jnp.mean(x.astype(dtype), axis=(1, 2))
        return nn.Dense(self.num_classes, dtype=dtype, name="classifier")(x)


def _checked(normalize: Normalize) -> Normalize:
    """`normalize` with tuples for lists, since a module must be hashable.

    Raises:
      ValueError: it is not a mean and a positive deviation for each channel.
    """
    if len(normalize) != 2 or len(normalize[0]) != len(normalize[1]):
        raise ValueError(
            "normalize must be (mean, deviation), each with one number per channel, "
            f"got {normalize}"
        )
    mean, deviation = map(tuple, normalize)
    if not all(value > 0 for value in deviation):
        raise ValueError(f"normalize's deviations must be > 0, got {deviation}")
    return mean, deviation


def channel_shuffle(x: Array, groups: int) -> Array:
    """Interleaves the channels of `groups` neighbouring parts."""
    parts = x.reshape(*x.shape[:-1], groups, -1)
    return jnp.swapaxes(parts, -1, -2).reshape(x.shape)
