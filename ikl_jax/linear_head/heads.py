"""What a loss of a linear head is given: heads, cached top-k logits, grouped weights.

Shape letters, here and in the rest of this room:

- `T` tokens, all sequences of a batch one after another;
- `H` width of the hidden states, which teacher and student need not share;
- `V` entries of the vocabulary, the classes of `ikl_jax.divergences`;
- `k` entries of the vocabulary that a cached teacher keeps for each token;
- `G` groups of tokens.
"""

from typing import NamedTuple

from ikl_jax.types import Array, Scalar


class Head(NamedTuple):
    """The last layer of a language model, and the hidden states that it is given.

    Its logits are `x = scale * (hidden @ kernel) + bias` and, with a soft cap,
    `soft_cap * tanh(x / soft_cap)`. They are never formed for all tokens at once.

    Attributes:
      hidden: `[T, H]`, floating point.
      kernel: `[H, V]`, floating point. It is best kept in the dtype of `hidden`, in
        which the products are then computed; products of two dtypes are computed in
        float32.
      bias: `[V]`, or None.
      scale: of the product, a scalar; some models divide their logits by the root of H.
      soft_cap: the bound of the logits, a scalar > 0. None: no bound.

    Examples:
      >>> import jax.numpy as jnp
      >>> from ikl_jax import linear_head
      >>> student = linear_head.Head(jnp.ones((3, 2)), jnp.zeros((2, 5)))
      >>> print(linear_head.kl_divergence(student, target=student))
      [0. 0. 0.]
    """

    hidden: Array
    kernel: Array
    bias: Array | None = None
    scale: Scalar = 1.0
    soft_cap: Scalar | None = None


class TopK(NamedTuple):
    """A target's largest logits; the rest of its probability is left out.

    The loss is the dense one for target logits that are minus infinity outside of the
    top k: the target's probabilities are normalised over the top k, and the student's
    over the whole vocabulary.

    Attributes:
      logits: `[T, k]`, raw logits or log-probabilities: a constant that all k of a
        token have in common changes nothing. An entry at minus infinity is not in the
        top k, which may so be shorter for some tokens.
      indices: `[T, k]`, integers in [0, V), different within a token. Under `jit` an
        index out of range makes the token's loss NaN, and one that a token has twice
        is not noticed and counts twice.
    """

    logits: Array
    indices: Array


class TopKWithRest(NamedTuple):
    """A target's largest logits, and the rest of its probability as one more class.

    The loss is the dense one for k + 1 classes: the top k, and one class whose logit is
    the logarithm of the sum of the exponentials of all other logits, the student's and
    the target's. That logit is formed before a temperature divides it.

    Attributes:
      logits: `[T, k]`, as those of `TopK`.
      indices: `[T, k]`, as those of `TopK`.
      rest: `[T]`, the logit of all other classes together, minus infinity if there are
        none. For log-probabilities it is `log1p(-minimum(sum(exp(logits)), 1 - 1e-6))`:
        rounding may make the sum larger than 1.
    """

    logits: Array
    indices: Array
    rest: Array


class Grouped(NamedTuple):
    """Weights that the tokens of a group have in common, such as class means.

    Attributes:
      table: `[G, V]`, the weights of each group, w >= 0.
      groups: `[T]`, integers in [0, G), the group of each token. Under `jit` a group
        out of range makes the loss of the decoupled losses NaN.
    """

    table: Array
    groups: Array
