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


def predictions(decoder: Decoder, params: Any, windows: Any) -> tuple[Head, jax.Array]:
    """The head of every token but a window's last, and the tokens that follow them."""
    hidden: Any = decoder.apply({"params": params}, windows[:, :-1])
    head = Head(hidden.reshape(-1, decoder.width), params["head"])
    return head, windows[:, 1:].reshape(-1)
