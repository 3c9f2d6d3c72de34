"""The blocks of transformers: attention and a perceptron on tokens.

Reference: Vaswani et al., "Attention Is All You Need",
https://arxiv.org/abs/1706.03762, 2017, with the normalisation before each part.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from ikl_jax.types import Array

_xavier = nn.initializers.xavier_uniform()  # as in the published code for JAX
_EPSILON = 1e-6  # added to the variance, in every normalisation


class TransformerModule(nn.Module, kw_only=True):
    """A module with methods that add a dense layer or a normalisation of each token."""

    dtype: jnp.dtype = jnp.float32

    @nn.nowrap
    def dense(self, x: Array, features: int, *, name: str) -> Array:
        layer = nn.Dense(features, dtype=self.dtype, kernel_init=_xavier, name=name)
        return layer(x)

    @nn.nowrap
    def layer_norm(self, x: Array, *, name: str) -> Array:
        """Normalises each token, with mean and variance in float32 or wider."""
        layer = nn.LayerNorm(
            _EPSILON, dtype=self.dtype, use_fast_variance=False, name=name
        )
        return layer(x)


class Attention(TransformerModule, kw_only=True):
    """Attention of all tokens to all tokens, `[B, T, F]`, in equal parts of F."""

    heads: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        batch, tokens, features = x.shape
        joint = self.dense(x, 3 * features, name="qkv")
        joint = joint.reshape(batch, tokens, 3, self.heads, features // self.heads)
        query, key, value = (joint[:, :, part] for part in range(3))
        wide = jnp.promote_types(self.dtype, jnp.float32)
        scores = jnp.einsum(
            "bqhf,bkhf->bhqk", query, key, preferred_element_type=wide
        ) / math.sqrt(features // self.heads)
        shares = jax.nn.softmax(scores, axis=-1).astype(self.dtype)
        mixed = jnp.einsum("bhqk,bkhf->bqhf", shares, value)
        return self.dense(mixed.reshape(x.shape), features, name="proj")


class Perceptron(TransformerModule, kw_only=True):
    """Two dense layers on each token, with the exact GELU between them."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        hidden = self.dense(x, 4 * x.shape[-1], name="fc1")
        hidden = nn.gelu(hidden, approximate=False)
        return self.dense(hidden, x.shape[-1], name="fc2")


class TransformerBlock(TransformerModule, kw_only=True):
    """Attention and a perceptron, each after a normalisation and added to its input."""

    heads: int

    @nn.compact
    def __call__(self, x: Array, factors: Array | None) -> Array:
        """Maps tokens `[B, T, F]` to tokens.

        Args:
          x: tokens.
          factors: `[B, 2]`, of what the two parts add, for each example; None: 1.
        """
        attention = Attention(heads=self.heads, dtype=self.dtype, name="attention")
        perceptron = Perceptron(dtype=self.dtype, name="mlp")
        for number, part in enumerate((attention, perceptron), 1):
            added = part(self.layer_norm(x, name=f"norm{number}"))
            if factors is not None:
                factor = factors[:, number - 1, None, None]
                added = added * factor.astype(self.dtype)
            x = x + added
        return x
