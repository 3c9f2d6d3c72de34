"""The passes in which BatchNorm sees labelled and unlabelled images."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ikl_jax.attacks.common.keys import example_keys
from ikl_jax.types import Array, PyTree
from train.networks import model
from train.recipes.recipe import Model, Task, train_logits
from train.recipes.state import Weights

# The kinds of images in the order in which they pass, those in one pass together.
Plan = Callable[[int], tuple[tuple[int, ...], ...]]


def _joint(count: int) -> tuple[tuple[int, ...], ...]:
    """All in one pass, so that BatchNorm normalises them by common statistics."""
    return (tuple(range(count)),)


def _two(count: int) -> tuple[tuple[int, ...], ...]:
    """The labelled images first; the unlabelled ones, all views together, second."""
    return ((0,), tuple(range(1, count)))


# `unlabelled.passes`. Each pass updates the running statistics.
PLANS: dict[str, Plan] = {"joint": _joint, "two": _two}


@dataclasses.dataclass(frozen=True)
class Passes:
    """The student's passes in training mode.

    Attributes:
      model: the student.
      plan: which images pass together.
      blocks: the number of runs of neighbouring rows in a pass. Each has its share of
        every kind of image, so that each group of BatchNorm and each device has, too.
    """

    model: Model
    plan: Plan
    blocks: int

    @classmethod
    def of(cls, task: Task) -> "Passes":
        groups = model.bn_groups(task.model) or 1
        devices = 1 if task.mesh is None else task.mesh.shape["data"]
        plan = PLANS[task.config.unlabelled.passes]
        return cls(task.model, plan, groups if groups > 1 else devices)

    def logits(
        self, weights: Weights, images: Sequence[Array], key: Array
    ) -> tuple[list[Array], PyTree]:
        """Logits of each kind of images, the labelled ones first, and new statistics.

        Args:
          weights: of the student.
          images: `[N, H, W, K]` each, with a number N of their own.
          key: of the step, for a model with stochastic depth; each image draws anew.
        """
        found: dict[int, Array] = {}
        for kinds in self.plan(len(images)):
            together = [images[kind] for kind in kinds]
            x = interleaved(together, self.blocks)
            keys = self._keys(kinds, together, key)
            logits, batch_stats = train_logits(self.model, weights, x, keys)
            weights = Weights(weights.params, batch_stats)
            sizes = [len(rows) for rows in together]
            apart = separated(logits, sizes, self.blocks)
            found.update(zip(kinds, apart, strict=True))
        return [found[kind] for kind in range(len(images))], weights.batch_stats

    def _keys(
        self, kinds: Sequence[int], images: Sequence[Array], key: Array
    ) -> Array | None:
        """A key for each image of a pass, which its place there does not change."""
        if not model.draws_in_training(self.model):
            return None
        drawn = [
            example_keys(jax.random.fold_in(key, kind), len(rows))
            for kind, rows in zip(kinds, images, strict=True)
        ]
        return interleaved(drawn, self.blocks)


def interleaved(arrays: Sequence[Array], blocks: int) -> Array:
    """Arrays `[N_i, ...]` as one, with an equal share of each in every block.

    >>> interleaved([jnp.arange(4), 10 * jnp.arange(2)], 2).tolist()
    [0, 1, 0, 2, 3, 10]
    """
    cut = [rows.reshape(blocks, -1, *rows.shape[1:]) for rows in arrays]
    return jnp.concatenate(cut, axis=1).reshape(-1, *arrays[0].shape[1:])


def separated(rows: Array, sizes: Sequence[int], blocks: int) -> list[Array]:
    """The arrays of the given sizes that `interleaved` put together.

    >>> [part.tolist() for part in separated(jnp.array([0, 1, 0, 2, 3, 10]), [4, 2], 2)]
    [[0, 1, 2, 3], [0, 10]]
    """
    entry: Any = rows.shape[1:]
    whole = rows.reshape(blocks, -1, *entry)
    ends = [sum(sizes[: i + 1]) // blocks for i in range(len(sizes) - 1)]
    return [part.reshape(-1, *entry) for part in jnp.split(whole, ends, axis=1)]
