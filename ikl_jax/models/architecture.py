"""What all architectures but "cnn" share: options, normalisation, the classifier."""

from collections.abc import Mapping
from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp

from ikl_jax.types import Array

Normalize = tuple[tuple[float, ...], tuple[float, ...]]


class Architecture(nn.Module, kw_only=True):
    """The base class of every architecture but "cnn", with the options of all.

    It maps images `[B, H, W, K]` in [0, 1], with any number K of channels, to float32
    logits `[B, C]`.

    Attributes:
      num_classes: C.
      dtype: of the computation. Parameters and statistics stay float32. The classifier
        computes in float32, or in float64 if the rest does.
      normalize: (mean, deviation), by which the input is normalised, with one number
        for each channel in both. None: no normalisation.
      remat: do not keep the activations of a block for its gradient, but compute them
        again. Memory then grows with the inputs of the blocks alone. Results and the
        names of parameters do not change.
    """

    num_classes: int = 10
    dtype: jnp.dtype = jnp.float32
    normalize: Normalize | None = None
    remat: bool = False

    # torch's names of the layers: (pattern, replacement), tried in this order on each
    # component of a parameter's path here. A component that matches no pattern has the
    # same name in torch.
    torch_names: ClassVar[tuple[tuple[str, str], ...]] = ()
    # torch's modules of networks that have the same names otherwise but compute
    # something else: weights that have one of them are refused.
    torch_names_of_others: ClassVar[tuple[str, ...]] = ()
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
    def logits(self, features: Array) -> Array:
        """The logits, in the dtype of the features `[B, F]`: float32 or wider."""
        return nn.Dense(self.num_classes, dtype=features.dtype, name="classifier")(
            features
        )

    @nn.nowrap
    def image_side(self, parameters: Mapping[str, Any]) -> int:
        """The side of images that weights fit, in pixels.

        Args:
          parameters: arrays or shapes by name, of which an architecture looks at those
            that depend on the images' size.
        """
        del parameters  # a network of convolutions fits any size
        return 32

    @nn.nowrap
    def with_image_size(
        self, parameters: Mapping[str, Any], image_size: int
    ) -> Mapping[str, Any]:
        """The parameters, for images of `image_size` x `image_size` pixels.

        Raises:
          ValueError: they do not depend on the images' size, or cannot have this one.
        """
        del parameters
        raise ValueError(
            f"image_size must be None for {type(self).__name__}, whose weights fit "
            f"images of any size, got {image_size}"
        )


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
