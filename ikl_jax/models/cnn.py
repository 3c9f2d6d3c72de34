"""A small convolutional network, for digits, Fashion-MNIST and tests."""

from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp

from ikl_jax import checks
from ikl_jax.models.family import Family, one
from ikl_jax.types import Array


class CNN(nn.Module):
    """Two 4x4 convolutions of stride 2 and one hidden layer, without BatchNorm.

    Input `[B, H, W, K]` in [0, 1], H and W at least 4; output float32 `[B, C]`.

    Attributes:
      num_classes: C.
      features: channels of the two convolutions.
      hidden: width of the hidden layer.
      dtype: of the computation; parameters and the last layer stay float32.
    """

    num_classes: int = 10
    features: tuple[int, int] = (16, 32)
    hidden: int = 100
    dtype: jnp.dtype = jnp.float32

    classifier_layer: ClassVar[tuple[str, ...]] = ("Dense_1",)

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        del train  # no layer here behaves differently in training
        if min(x.shape[1:3]) < 4:
            raise ValueError(f"cnn needs images of 4 x 4 or more, got {x.shape[1:3]}")
        x = x.astype(self.dtype)
        for features in self.features:
            x = nn.Conv(features, (4, 4), strides=2, padding=1, dtype=self.dtype)(x)
            x = nn.relu(x)
        x = x.reshape(x.shape[0], -1)
        x = nn.relu(nn.Dense(self.hidden, dtype=self.dtype)(x))
        return nn.Dense(self.num_classes, dtype=jnp.float32)(x)


def _of_width(width: int, **options: Any) -> nn.Module:
    """The small CNN of a given width; "cnn" has width 16."""
    checks.positive(width=width)
    hidden = max(100 * width // 16, 1)
    return CNN(features=(width, 2 * width), hidden=hidden, **options)


CNNS = (
    one("cnn", CNN, (28, 28, 1), 10),
    Family(r"cnn_(\d+)", ("cnn_4", "cnn_64"), _of_width, (28, 28, 1), 10),
)
