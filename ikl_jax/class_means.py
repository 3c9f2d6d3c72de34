"""Class means: the average predicted distribution of each class, as loss weights."""

from typing import Self

import flax.struct
import jax
import jax.numpy as jnp

from ikl_jax import checks
from ikl_jax.types import Array, Scalar


class ClassMeans(flax.struct.PyTreeNode):
    """The mean of softmax(logits) over the examples of each class (Section 3.3).

    Row c is what the model predicts, on average, for examples labelled c, right or
    wrong. An epoch's predictions are accumulated; `advance` turns them into the means
    that the next epoch uses. A frozen pytree: every method returns a new record.

    The sums are over the whole batch, so they are right for a batch sharded over
    devices under `jit`: the compiler adds the all-reduce.

    Attributes:
      mean: `[C, C]`, rows sum to 1; 1/C everywhere at first.
      total: `[C, C]`, the sum of predictions since the last `advance`.
      count: `[C]`, the number of examples behind each row of `total`.

    Reference: Cui et al., https://arxiv.org/abs/2305.13948, 2024.

    >>> import jax.numpy as jnp, ikl_jax
    >>> means = ikl_jax.ClassMeans.create(2)
    >>> logits = jnp.log(jnp.array([[0.75, 0.25], [0.25, 0.75]]))
    >>> keep = jnp.array([True, False])
    >>> means = means.accumulate(logits, jnp.array([0, 0]), where=keep)
    >>> for row in means.advance().mean:
    ...     print(f"{row[0]:.2f} {row[1]:.2f}")
    0.75 0.25
    0.50 0.50
    """

    mean: Array
    total: Array
    count: Array

    @classmethod
    def create(cls, num_classes: int, dtype: jnp.dtype = jnp.float32) -> Self:
        """Uniform means, nothing accumulated; sums are kept in `dtype`."""
        checks.positive(num_classes=num_classes)
        square = (num_classes, num_classes)
        return cls(
            mean=jnp.full(square, 1 / num_classes, dtype),
            total=jnp.zeros(square, dtype),
            count=jnp.zeros((num_classes,), dtype),
        )

    @property
    def num_classes(self) -> int:
        return self.mean.shape[0]

    def accumulate(
        self,
        logits: Array,
        labels: Array,
        *,
        temperature: Scalar = 1.0,
        where: Array | None = None,
    ) -> Self:
        """Adds softmax(logits / temperature) to the rows of `labels`.

        Args:
          logits: `[B, C]`, stopped; summed in the record's dtype whatever theirs.
          labels: `[B]`, integers in [0, C). Under `jit` others are left out.
          temperature: T > 0.
          where: `[B]`, boolean, True for the examples to count; None for all.

        Raises:
          ValueError: wrong shapes, temperature not positive, or a label out of range
            (where it is known).
          TypeError: labels are not integers.
        """
        logits, labels = jnp.asarray(logits), jnp.asarray(labels)
        if logits.ndim != 2 or logits.shape[-1] != self.num_classes:
            raise ValueError(
                f"logits must have shape (B, {self.num_classes}), got {logits.shape}"
            )
        if labels.shape != logits.shape[:1]:
            raise ValueError(
                f"labels must have shape {logits.shape[:1]}, got {labels.shape}"
            )
        checks.labels_in_range(labels, self.num_classes)
        checks.positive(temperature=temperature)

        logits = jax.lax.stop_gradient(logits).astype(self.total.dtype)
        predictions = jax.nn.softmax(logits / temperature)
        belongs = jax.nn.one_hot(labels, self.num_classes, dtype=self.total.dtype)
        if where is not None:
            predictions = jnp.where(where[:, None], predictions, 0.0)
            belongs = jnp.where(where[:, None], belongs, 0.0)
        # A matrix product adds up in an order that does not vary from run to run, as
        # that of a scatter may.
        total = jnp.matmul(belongs.T, predictions, precision=jax.lax.Precision.HIGHEST)
        return self.replace(
            total=self.total + total, count=self.count + jnp.sum(belongs, axis=0)
        )

    def advance(self, momentum: Scalar = 0.0) -> Self:
        """Ends an epoch: new means, empty sums. An unseen class keeps its row.

        Args:
          momentum: share of the old mean that is kept, in [0, 1]; 0 replaces it, as
            published.

        Raises:
          ValueError: momentum is outside [0, 1] (where it is known).
        """
        if checks.is_concrete(momentum) and not 0 <= momentum <= 1:
            raise ValueError(f"momentum must lie in [0, 1], got {momentum}")
        seen = self.count[:, None] > 0
        row_sums = jnp.sum(self.total, axis=1, keepdims=True)
        observed = self.total / jnp.where(seen, row_sums, 1.0)
        mixed = momentum * self.mean + (1 - momentum) * observed
        return self.replace(
            mean=jnp.where(seen, mixed, self.mean),
            total=jnp.zeros_like(self.total),
            count=jnp.zeros_like(self.count),
        )

    def weights_for(self, labels: Array) -> Array:
        """The mean rows of `labels`, `[...]` to `[..., C]`, stopped.

        Raises:
          ValueError: a label is out of range, where it is known; under `jit` such a
            label's row is NaN.
          TypeError: labels are not integers.
        """
        labels = jnp.asarray(labels)
        checks.labels_in_range(labels, self.num_classes)
        rows = self.mean.at[labels].get(
            mode="fill", fill_value=jnp.nan, wrap_negative_indices=False
        )
        return jax.lax.stop_gradient(rows)
