"""Vision transformers: patches as tokens, with stochastic depth in training.

References: Dosovitskiy et al., "An Image is Worth 16x16 Words: Transformers for Image
Recognition at Scale", https://arxiv.org/abs/2010.11929, 2020, in the sizes and with the
names of parameters of timm; Huang et al., "Deep Networks with Stochastic Depth",
https://arxiv.org/abs/1603.09382, 2016, for each example by itself; Wang et al., "USB: A
Unified Semi-supervised Learning Benchmark for Classification",
https://arxiv.org/abs/2208.07204, 2022, for the network with patches of 2 x 2 pixels.
"""

import math
import warnings
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from ikl_jax import checks
from ikl_jax.models import positions
from ikl_jax.models.architecture import Architecture
from ikl_jax.models.family import CIFAR, Family, imagenet, one
from ikl_jax.models.transformer import TransformerBlock, TransformerModule
from ikl_jax.types import Array


class VisionTransformer(Architecture, TransformerModule, kw_only=True):
    """A transformer on patches of the image, which classifies by a token of its own.

    A model has positions for images of the size that its variables were made for.
    Their sides must be multiples of `patch_size`.

    In training with `drop_path` > 0, a call takes `keys`, a random key for each
    example: `model.apply(variables, x, train=True, keys=jax.random.split(key, B))`.
    What an example draws depends on its own key alone.

    Attributes:
      patch_size: side of a patch, in pixels.
      features: F, of each token; a multiple of `heads`.
      depth: number of blocks.
      heads: of the attention.
      drop_path: stochastic depth, in [0, 1): how often the last block's two parts are
        each left out for an example in training. Earlier blocks' are less often, by
        equal steps from never in the first one. Parts that stay count the more.
    """

    patch_size: int
    features: int
    depth: int
    heads: int
    drop_path: float = 0.0

    torch_names: ClassVar[tuple[tuple[str, str], ...]] = (
        (r"patch_embed", "patch_embed.proj"),
        (r"block(\d+)", r"blocks.\1"),
        (r"attention", "attn"),
        (r"classifier", "head"),
    )
    # timm's other networks of the same blocks.
    torch_names_of_others: ClassVar[tuple[str, ...]] = (
        "attn_pool", "dist_token", "fc_norm", "head_dist", "norm_pre", "pre_logits",
        "reg_token",
    )  # fmt: skip
    input_layer: ClassVar[tuple[str, ...]] = ("patch_embed",)

    def __post_init__(self) -> None:
        checks.positive(
            patch_size=self.patch_size, features=self.features, depth=self.depth,
            heads=self.heads,
        )  # fmt: skip
        if self.features % self.heads:
            raise ValueError(
                f"features must be a multiple of heads={self.heads}, got "
                f"{self.features}"
            )
        if not 0 <= self.drop_path < 1:
            raise ValueError(f"drop_path must lie in [0, 1), got {self.drop_path}")
        super().__post_init__()

    @nn.nowrap
    def image_side(self, parameters: Mapping[str, Any]) -> int:
        """The side of the images that the positions are for."""
        there = parameters.get("pos_embed")
        if there is None or len(there.shape) != 3:
            return self.patch_size
        # Of positions for no square: the nearest one, so that errors name its shape.
        return self.patch_size * max(1, round(math.sqrt(max(there.shape[1] - 1, 0))))

    @nn.nowrap
    def with_image_size(
        self, parameters: Mapping[str, Any], image_size: int
    ) -> Mapping[str, Any]:
        """The parameters for images of that size; warns if positions change."""
        if image_size < 1 or image_size % self.patch_size:
            raise ValueError(
                f"image_size must be a multiple of patch_size={self.patch_size}, got "
                f"{image_size}"
            )
        there = jnp.asarray(parameters["pos_embed"], jnp.float32)
        resized = positions.interpolated(there, image_size // self.patch_size)
        before, side = (positions.side_of(a.shape[1]) for a in (there, resized))
        if before == side:
            return parameters
        warnings.warn(
            f"the positions of {before} x {before} patches were interpolated to "
            f"{side} x {side}, for images of {image_size} x {image_size} pixels",
            stacklevel=3,
        )
        return {**parameters, "pos_embed": resized}

    @nn.compact
    def __call__(
        self, x: Array, *, train: bool = False, keys: Array | None = None
    ) -> Array:
        x = self._tokens(x)
        factors = None
        if train and self.drop_path and not self.is_initializing():
            factors = self._factors(x.shape[0], keys)
        block_type = nn.remat(TransformerBlock) if self.remat else TransformerBlock
        for index in range(self.depth):
            block = block_type(heads=self.heads, dtype=self.dtype, name=f"block{index}")
            x = block(x, None if factors is None else factors[:, index])
        x = self.layer_norm(x[:, 0], name="norm")
        return self.logits(x.astype(jnp.promote_types(self.dtype, jnp.float32)))

    @nn.nowrap
    def _tokens(self, x: Array) -> Array:
        """The class token and the patches, row by row, with their positions."""
        size = self.patch_size
        if x.shape[1] % size or x.shape[2] % size:
            raise ValueError(
                "a vision transformer needs images whose sides are multiples of its "
                f"patches of {size} x {size} pixels, got {x.shape[1:3]}"
            )
        x = nn.Conv(
            self.features, (size, size), strides=size, padding="VALID",
            dtype=self.dtype, name="patch_embed",
        )(self.prepared(x))  # fmt: skip
        x = x.reshape(x.shape[0], -1, self.features)
        token = self.param(
            "cls_token", nn.initializers.normal(1e-6), (1, 1, self.features)
        )
        token = jnp.broadcast_to(
            token.astype(self.dtype), (x.shape[0], 1, self.features)
        )
        x = jnp.concatenate([token, x], axis=1)
        added = self.param("pos_embed", nn.initializers.normal(0.02), (1, *x.shape[1:]))
        return x + added.astype(self.dtype)

    @nn.nowrap
    def _factors(self, batch: int, keys: Array | None) -> Array:
        """`[B, depth, 2]`: 0 for a part that is left out, else 1 / its chance to stay.

        Raises:
          ValueError: there is not one key for each example.
        """
        if keys is None or keys.shape[:1] != (batch,):
            raise ValueError(
                f"keys must hold a random key for each of the {batch} examples, since "
                f"drop_path={self.drop_path:g} leaves out parts of blocks at random in "
                f"training, got {None if keys is None else keys.shape}"
            )
        shape = (self.depth, 2)
        draws = jax.vmap(lambda key: jax.random.uniform(key, shape))(keys)
        stay = 1 - jnp.linspace(0.0, self.drop_path, self.depth)[None, :, None]
        return jnp.where(draws < stay, 1 / stay, 0.0)


def _of_size(patch_size: int, depth: int, features: int, **options: Any) -> nn.Module:
    """A transformer of any size, with a head for each 64 features, as published."""
    heads = max(1, features // 64)
    return VisionTransformer(
        patch_size=patch_size, features=features, depth=depth, heads=heads, **options
    )


VISION_TRANSFORMERS = (
    *(
        imagenet(f"vit_{name}_patch16_224", partial(_of_size, 16, 12, features))
        for name, features in (("tiny", 192), ("small", 384), ("base", 768))
    ),
    one("vit_small_patch2_32", partial(_of_size, 2, 12, 384, drop_path=0.2), CIFAR),
    Family(
        r"vit_patch(\d+)_(\d+)_(\d+)",
        ("vit_patch4_6_192", "vit_patch2_4_64"),
        _of_size,
        CIFAR,
        10,
    ),
)
