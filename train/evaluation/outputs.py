"""One pass of a model over a split: its logits, and if asked its features.

Every measure stands on this pass. A batch is divided over the mesh, and its outputs are
gathered on every process. The last batch is padded to the size of the others, and the
outputs of the padding are dropped.
"""

import copy
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from ikl_jax.types import Array
from train.data import pipeline
from train.data.splits import Split
from train.devices import sharding
from train.evaluation.features import with_features
from train.recipes import recipe
from train.recipes.state import Weights


class Outputs(NamedTuple):
    """The outputs of a model for `N` examples.

    Attributes:
      indices: `[N]`, the position of each example within its split.
      labels: `[N]`.
      logits: `[N, C]`, float32 or wider; the columns of padded classes are cut off.
      features: `[N, F]` float32 or wider, the classifier's input; None: not computed.
    """

    indices: np.ndarray
    labels: np.ndarray
    logits: np.ndarray
    features: np.ndarray | None = None

    @property
    def predicted(self) -> np.ndarray:
        """`[N]`, the class with the largest logit."""
        return self.logits.argmax(axis=1)


class DeviceBatch(NamedTuple):
    """A batch of a split on the devices.

    Attributes:
      x: `[B, H, W, K]` in [0, 1].
      labels: `[B]`.
      indices: `[B]`, the position of each example within its split.
      valid: `[B]`, on the host: False for the rows that pad the last batch.
    """

    x: Array
    labels: Array
    indices: Array
    valid: np.ndarray


class OutputsPass:
    """The pass, compiled once for any weights of one model."""

    def __init__(
        self, model: recipe.Model, split: Split, mesh: Mesh, *,
        num_classes: int, batch_size: int, features: bool = False,
    ) -> None:  # fmt: skip
        """A pass over `split`.

        Args:
          model: takes images in [0, 1].
          split: the examples.
          mesh: of the devices.
          num_classes: of the split; further logits of the model are padding.
          batch_size: a multiple of the devices along the mesh's axis `data`.
          features: whether to return the classifier's input too.
        """
        self._model, self._split, self._mesh = model, split, mesh
        self._num_classes, self._features = num_classes, features
        divided = mesh.shape["data"]
        self._batch_size = min(batch_size, -(-len(split) // divided) * divided)
        self._to_pixels = jax.jit(recipe.to_pixels)
        # Replicated, so that every process can read them.
        self._compute = jax.jit(self._computed, out_shardings=sharding.replicated(mesh))

    def __call__(self, weights: Weights, limit: int | None = None) -> Iterator[Outputs]:
        """The outputs for the first `limit` examples (None: all), batch by batch."""
        for batch in self.batches(limit):
            yield self.of_batch(weights, batch)

    def over(self, split: Split) -> "OutputsPass":
        """The same pass, compiled once for both, over images of the same shape."""
        other = copy.copy(self)
        other._split = split
        return other

    def batches(self, limit: int | None = None) -> Iterator[DeviceBatch]:
        """The first `limit` examples of the split (None: all) in order."""
        limit = len(self._split) if limit is None else min(limit, len(self._split))
        return self.batches_of(np.arange(limit))

    def batches_of(self, examples: np.ndarray) -> Iterator[DeviceBatch]:
        """The examples at positions `[N]` of the split."""
        for batch, valid in pipeline.evaluation_batches(
            self._split,
            self._batch_size,
            examples,
            lambda size: sharding.local_rows(size, self._mesh),
        ):
            arrays = sharding.put(batch, self._mesh)
            x = self._to_pixels(arrays["image"])
            yield DeviceBatch(x, arrays["label"], arrays["index"], valid)

    def of_batch(
        self, weights: Weights, batch: DeviceBatch, x: Array | None = None
    ) -> Outputs:
        """The outputs for one batch, or for other images `x` in its images' place."""
        x = batch.x if x is None else x
        found = self._compute(weights, x, batch.labels, batch.indices)
        return Outputs(*jax.tree.map(lambda a: np.asarray(a)[batch.valid], found))

    def _computed(
        self, weights: Weights, x: Array, labels: Array, indices: Array
    ) -> tuple[Array, Array, Array, Array | None]:
        """The fields of `Outputs` for a whole batch."""

        def call() -> Array:
            return recipe.evaluate_logits(self._model, weights, x)

        logits, features = with_features(call) if self._features else (call(), None)
        logits = _wide(logits[:, : self._num_classes])
        return indices, labels, logits, None if features is None else _wide(features)


def joined(parts: Iterable[Outputs]) -> Outputs:
    """The outputs of several batches as one."""
    indices, labels, logits, features = zip(*parts, strict=True)
    return Outputs(
        np.concatenate(indices), np.concatenate(labels), np.concatenate(logits),
        None if features[0] is None else np.concatenate(features),
    )  # fmt: skip


def _wide(x: Array) -> Array:
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))
