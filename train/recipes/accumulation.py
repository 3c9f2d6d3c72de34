"""Gradient accumulation: a step's batch in equal parts, one after another.

It takes less memory and more time. The step computes the same as for the whole batch,
except for rounding: losses, gradients and metrics are means over the parts, and a part
consists of whole groups of BatchNorm, each of which is normalised by its own examples.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ikl_jax.types import Array, PyTree
from train.networks import model
from train.recipes.recipe import Metrics, Task


class Outcome(NamedTuple):
    """What a loss returns besides its value.

    Attributes:
      metrics: means over the examples.
      batch_stats: the new running statistics.
      per_example: leaves `[B, ...]`, what else a recipe needs of all examples, in the
        order of the batch.
    """

    metrics: Metrics
    batch_stats: PyTree
    per_example: PyTree = None


# `(params, part)` to the mean loss of the part's examples, and the rest.
Loss = Callable[[PyTree, Any], tuple[Array, Outcome]]


@dataclasses.dataclass(frozen=True)
class Accumulation:
    """Cuts a batch into parts, and computes values and gradients of all of them.

    Attributes:
      count: the number of parts.
      blocks: the number of runs of neighbouring rows in a part. With a run for each
        device along the axis `data`, each device takes its share of every part from
        its own rows.
      mesh: the devices that the batch is divided over; None: it is on one device.
    """

    count: int
    blocks: int = 1
    mesh: Mesh | None = None

    @classmethod
    def of(cls, task: Task) -> "Accumulation":
        """For `config.accumulate`; a block consists of whole groups of BatchNorm."""
        devices = 1 if task.mesh is None else task.mesh.shape["data"]
        groups = model.bn_groups(task.model) or devices
        return cls(task.config.accumulate, math.gcd(devices, groups), task.mesh)

    def split(self, batch: PyTree) -> PyTree:
        """Cuts leaves `[B, ...]` into parts, `[count, B / count, ...]`, in order."""
        return jax.tree.map(self._split, batch)

    def map(self, fn: Callable[[Any], PyTree], parts: PyTree) -> PyTree:
        """Applies `fn` to each part and stacks the results."""
        return self._scan(lambda _, part: (None, fn(part)), None, parts)[1]

    def join(self, parts: PyTree) -> PyTree:
        """Leaves `[count, B / count, ...]` to `[B, ...]`; `split` undone."""
        return jax.tree.map(self._join, parts)

    def gradient(
        self, loss: Loss, params: PyTree, parts: PyTree
    ) -> tuple[PyTree, Outcome]:
        """The gradient of `loss` over all parts, and the outcome of all of them.

        The running statistics are those of the first part, as BatchNorm keeps those of
        its first group.
        """

        def add(total: PyTree, part: Any) -> tuple[PyTree, Outcome]:
            grads, outcome = jax.grad(loss, has_aux=True)(params, part)
            return jax.tree.map(jnp.add, total, grads), outcome

        zeros = jax.tree.map(jnp.zeros_like, params)
        total, outcomes = self._scan(add, zeros, parts)
        return jax.tree.map(lambda grad: grad / self.count, total), Outcome(
            jax.tree.map(lambda values: jnp.mean(values, axis=0), outcomes.metrics),
            jax.tree.map(lambda values: values[0], outcomes.batch_stats),
            self.join(outcomes.per_example),
        )

    def _split(self, rows: Array) -> Array:
        if self.count == 1:
            return rows[None]
        entry = rows.shape[1:]
        blocks = rows.reshape(self.blocks, self.count, -1, *entry)
        parts = jnp.swapaxes(blocks, 0, 1).reshape(self.count, -1, *entry)
        if self.mesh is None:
            return parts
        divided = NamedSharding(self.mesh, PartitionSpec(None, "data"))
        return jax.lax.with_sharding_constraint(parts, divided)

    def _join(self, parts: Array) -> Array:
        if self.count == 1:
            return parts[0]
        entry = parts.shape[2:]
        blocks = parts.reshape(self.count, self.blocks, -1, *entry)
        rows = jnp.swapaxes(blocks, 0, 1).reshape(-1, *entry)
        if self.mesh is None:
            return rows
        others = [PartitionSpec.UNCONSTRAINED] * len(entry)
        divided = NamedSharding(self.mesh, PartitionSpec("data", *others))
        return jax.lax.with_sharding_constraint(rows, divided)

    def _scan(
        self, fn: Callable[[Any, Any], tuple[Any, Any]], start: Any, parts: PyTree
    ) -> tuple[Any, Any]:
        if self.count == 1:  # a single part needs no scan
            carry, out = fn(start, jax.tree.map(lambda rows: rows[0], parts))
            return carry, jax.tree.map(lambda entry: entry[None], out)
        fn = jax.jit(fn)  # traced once for both forms

        def in_turn(carry: Any, part: Any) -> tuple[Any, Any]:
            # Without a loop, only this barrier makes a part wait for the one before it.
            # Otherwise the activations of several parts would be in memory at once.
            return fn(*jax.lax.optimization_barrier((carry, part)))

        # No loop in what is compiled for CPU, where XLA computes gradients of
        # convolutions up to 28 times more slowly inside a loop. A loop elsewhere, so
        # that the program does not grow with the number of parts.
        unrolled = functools.partial(jax.lax.scan, in_turn, unroll=self.count)
        loop = functools.partial(jax.lax.scan, fn)
        return jax.lax.platform_dependent(start, parts, cpu=unrolled, default=loop)
