"""Class means: the average prediction for each class, used as weights of a loss."""

from typing import Self

import flax.struct
import jax
import jax.export
import jax.numpy as jnp

from ikl_jax import checks
from ikl_jax.types import Array, Scalar


class ClassMeans(flax.struct.PyTreeNode):
    """The mean of softmax(logits) over the examples of each class (Section 3.3).

    Row c is the average prediction for examples with label c, whether the prediction
    is right or wrong. `accumulate` adds up the predictions of an epoch; `advance` turns
    them into the means for the next epoch. The record is a frozen pytree: every method
    returns a new one.

    The sums are over the whole batch. For a batch that is sharded over devices they are
    right, too: under `jit` the compiler adds the all-reduce.

    Attributes:
      mean: `[C, C]`, rows sum to 1; 1/C everywhere at first.
      total: `[C, C]`, the sum of predictions since the last `advance`.
      count: `[C]`, the number of examples that each row of `total` sums over.

    Reference: Cui et al., "Decoupled Kullback-Leibler Divergence Loss",
    https://arxiv.org/abs/2305.13948, 2024.

    Examples:
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
        """Creates uniform means with nothing accumulated.

        Args:
          num_classes: C >= 1.
          dtype: of the means and the sums.

        Raises:
          ValueError: num_classes is not positive.
        """
        checks.positive(num_classes=num_classes)
        square = (num_classes, num_classes)
        return cls(
            mean=jnp.full(square, 1 / num_classes, dtype),
            total=jnp.zeros(square, dtype),
            count=jnp.zeros((num_classes,), dtype),
        )

    @property
    def num_classes(self) -> int:
        """The number of classes, C."""
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
          logits: `[B, C]`, of any floating-point dtype; converted to the dtype of
            `total`. Stopped. NaN makes the row of its label NaN, and no other row.
          labels: `[B]`, integers in [0, C). Under `jit`, an example with another label
            (such as -100) is ignored; outside of `jit`, leave it out with `where`.
          temperature: T > 0, a scalar or `[B]`.
          where: `[B]`, boolean, True for the examples to count. The others may hold
            anything, labels out of range and NaN included. None: all of them count.

        Returns:
          The record with the sums of before plus those of this batch.

        Raises:
          ValueError: wrong shapes, temperature not positive, or a label that counts is
            out of range (where it is known).
          TypeError: labels are not integers, or `where` is not boolean.
        """
        logits = checks.as_array(logits=logits)
        labels = checks.as_array(labels=labels)
        if logits.ndim != 2 or logits.shape[-1] != self.num_classes:
            raise ValueError(
                f"logits must have shape (B, {self.num_classes}), got {logits.shape}"
            )
        batch, dtype = logits.shape[:1], self.total.dtype
        checks.floating(logits=logits)
        checks.shaped(batch, labels=labels)
        where = _mask(where, batch)
        labels = checks.labels_in_range(labels, self.num_classes, where)
        checks.no_row_of_classes(logits.shape, "temperature", temperature)
        temperatures = checks.per_example(batch, dtype, "temperature", temperature)
        checks.positive(temperature=temperature)

        counts = labels >= 0 if where is None else where & (labels >= 0)
        logits = jax.lax.stop_gradient(logits).astype(dtype)
        predictions = jax.nn.softmax(logits / temperatures[:, None])
        # Zero times NaN is NaN, so the product below must not see NaN. It is put into
        # the rows where it belongs afterwards.
        is_nan = jnp.isnan(predictions).any(axis=-1)
        predictions = jnp.where((counts & ~is_nan)[:, None], predictions, 0.0)
        belongs = jax.nn.one_hot(labels, self.num_classes, dtype=dtype)
        belongs = jnp.where(counts[:, None], belongs, 0.0)
        # A matrix product, because it adds in the same order in every run; a scatter
        # may not.
        total = jnp.matmul(belongs.T, predictions, precision=jax.lax.Precision.HIGHEST)
        has_nan = jnp.any((belongs > 0) & is_nan[:, None], axis=0)
        total = jnp.where(has_nan[:, None], jnp.nan, total)
        return self.replace(
            total=self.total + total, count=self.count + jnp.sum(belongs, axis=0)
        )

    def advance(self, momentum: Scalar = 0.0) -> Self:
        """Ends an epoch: turns the sums into new means and empties the sums.

        A class without examples keeps its old row.

        Args:
          momentum: share of the old mean that is kept, in [0, 1]. The published value 0
            replaces the old mean.

        Returns:
          The record for the next epoch.

        Raises:
          ValueError: momentum is outside [0, 1] (where it is known).
        """
        checks.within(0, 1, momentum=momentum)
        momentum = checks.per_example((), self.mean.dtype, "momentum", momentum)
        seen = self.count[:, None] > 0
        row_sums = jnp.sum(self.total, axis=1, keepdims=True)
        observed = self.total / jnp.where(seen, row_sums, 1.0)
        mixed = momentum * self.mean + (1 - momentum) * observed
        return self.replace(
            mean=jnp.where(seen, mixed, self.mean),
            total=jnp.zeros_like(self.total),
            count=jnp.zeros_like(self.count),
        )

    def weights_for(self, labels: Array, *, where: Array | None = None) -> Array:
        """Looks up the mean of each label's class, as weights for `ikl_loss`.

        Args:
          labels: `[...]`, integers in [0, C). Under `jit` the weights of another label
            are NaN.
          where: `[...]`, boolean, False for examples that are left out. Their labels
            may be any integers (such as -100), and their weights are zero. None: no
            example is left out.

        Returns:
          `[..., C]`, stopped.

        Raises:
          ValueError: a label that is not left out is out of range (where it is known).
          TypeError: labels are not integers, or `where` is not boolean.
        """
        labels = checks.as_array(labels=labels)
        where = _mask(where, labels.shape)
        labels = checks.labels_in_range(labels, self.num_classes, where)
        rows = self.mean.at[labels].get(
            mode="fill", fill_value=jnp.nan, wrap_negative_indices=False
        )
        if where is not None:
            rows = jnp.where(where[..., None], rows, 0.0)
        return jax.lax.stop_gradient(rows)


jax.export.register_pytree_node_serialization(
    ClassMeans,
    serialized_name="ikl_jax.ClassMeans",
    serialize_auxdata=lambda _: b"",  # all its fields are arrays
    deserialize_auxdata=lambda _: (),
)


def _mask(where: Array | None, shape: tuple[int, ...]) -> Array | None:
    """`where`, which must be boolean and of that shape."""
    if where is None:
        return None
    where = checks.as_array(where=where)
    if where.dtype != jnp.bool_:
        raise TypeError(f"where must be boolean, got {where.dtype}")
    checks.shaped(shape, where=where)
    return where
