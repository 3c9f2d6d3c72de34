"""A causal decoder that returns hidden states, and its head."""

from typing import Any

import flax.linen as nn
import jax

from ikl_jax.linear_head import Head

HEAD_WIDTH = 32  # of attention


class Decoder(nn.Module):
    """Hidden states `[batch, length, width]` of tokens `[batch, length]`.

    The parameter `head`, `[width, vocabulary]`, is left to `ikl_jax.linear_head`.
    """

    vocabulary: int
    width: int
    depth: int
    max_length: int

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        normal = nn.initializers.normal(0.02)
        x = nn.Embed(self.vocabulary, self.width, embedding_init=normal)(tokens)
        positions = self.param("positions", normal, (self.max_length, self.width))
        x, mask = x + positions[None, : tokens.shape[1]], nn.make_causal_mask(tokens)
        for _ in range(self.depth):
            attention = nn.MultiHeadDotProductAttention(self.width // HEAD_WIDTH or 1)
            x = x + attention(nn.RMSNorm()(x), mask=mask)
            wide = nn.gelu(nn.Dense(4 * self.width)(nn.RMSNorm()(x)))
            x = x + nn.Dense(self.width)(wide)
        self.param("head", normal, (self.width, self.vocabulary))
        return nn.RMSNorm()(x)


def head(decoder: Decoder, params: Any, tokens: jax.Array) -> Head:
    """The head of all tokens, one sequence after the other."""
    hidden: Any = decoder.apply({"params": params}, tokens)
    return Head(hidden.reshape(-1, decoder.width), params["head"])
