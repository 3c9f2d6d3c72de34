"""BatchNorm with torch's conventions, optionally over groups of the batch."""

import flax.linen as nn
import jax.numpy as jnp

from ikl_jax.types import Array


class BatchNorm(nn.Module):
    """Normalises `[B, ..., features]` by the batch's statistics or the running ones.

    Like in torch, the running statistics move by `momentum` towards those of the batch,
    and the running variance is the unbiased one (Flax's own layer keeps the biased
    one). The parameters "scale" and "bias" and the collection "batch_stats" ("mean",
    "var") are float32 and have the names of Flax's layer. Under `jit` the statistics
    are those of the whole batch, however it is sharded.

    Attributes:
      groups: cuts the batch into this many equal parts of neighbouring rows. Each part
        is normalised by its own statistics, as in data parallelism over as many
        devices. The running statistics take those of the first part, like torch's
        DataParallel.
      momentum: share of the batch in the running statistics.
      epsilon: added to the variance.
      dtype: of the result.
    """

    groups: int = 1
    momentum: float = 0.1
    epsilon: float = 1e-5
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        shape = (x.shape[-1],)
        scale = self.param("scale", nn.initializers.ones, shape)
        bias = self.param("bias", nn.initializers.zeros, shape)
        mean = self.variable("batch_stats", "mean", jnp.zeros, shape)
        var = self.variable("batch_stats", "var", jnp.ones, shape)
        if not train:
            return self._affine(x, mean.value[None], var.value[None], scale, bias)
        if len(x) % self.groups:
            raise ValueError(
                f"bn_groups must divide the batch of {len(x)}, got {self.groups}"
            )
        grouped = x.reshape(self.groups, -1, *x.shape[1:])
        exact = grouped.astype(jnp.promote_types(x.dtype, jnp.float32))
        axes = tuple(range(1, x.ndim))
        batch_mean = jnp.mean(exact, axes)
        squares = jnp.mean(jnp.square(exact), axes)
        batch_var = jnp.maximum(squares - jnp.square(batch_mean), 0.0)
        if not self.is_initializing():
            count = exact[0].size // shape[0]
            unbiased = batch_var[0] * (count / max(count - 1, 1))
            mean.value += self.momentum * (batch_mean[0] - mean.value)
            var.value += self.momentum * (unbiased - var.value)
        return self._affine(x, batch_mean, batch_var, scale, bias)

    def _affine(
        self, x: Array, mean: Array, var: Array, scale: Array, bias: Array
    ) -> Array:
        """Applies the normalisation as one product and one sum for each entry.

        `mean` and `var` are `[groups, features]`; their rows are repeated for each
        example. Cutting `x` itself into groups instead would make the fused loops
        slower: on CPU by a fifth of the time of the model's gradient.
        """
        factor = scale[None] / jnp.sqrt(var + self.epsilon)
        offset = bias[None] - mean * factor
        return (x * self._rows(factor, x) + self._rows(offset, x)).astype(self.dtype)

    def _rows(self, per_group: Array, x: Array) -> Array:
        """Repeats `[groups, features]` for each example, unless there is one group."""
        if len(per_group) > 1:
            per_group = jnp.repeat(per_group, len(x) // len(per_group), axis=0)
        return per_group.reshape(-1, *(1,) * (x.ndim - 2), x.shape[-1])
