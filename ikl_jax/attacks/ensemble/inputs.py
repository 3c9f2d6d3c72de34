"""The examples of an evaluation, and the logits of the clean ones."""

import zlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from ikl_jax import checks
from ikl_jax.attacks.common import arguments, geometry, losses
from ikl_jax.attacks.common.keys import as_keys
from ikl_jax.attacks.ensemble.batches import Batches
from ikl_jax.attacks.ensemble.judge import Judge
from ikl_jax.types import Array

# The classes that there are; None: all that there are logits for.
Classes = Sequence[int] | np.ndarray | None


class Inputs(NamedTuple):
    """All examples of an evaluation. All but the keys stay on the host.

    Attributes:
      x: `[N, ...]` float32 in [0, 1].
      labels: `[N]` int32.
      targets: `[N, C - 1]` int32, the other classes, the most likely first.
      keys: `[N]`, a random key for each example, which its content decides.
    """

    x: np.ndarray
    labels: np.ndarray
    targets: np.ndarray
    keys: Array

    def targets_of(self, rows: np.ndarray, rank: int | None) -> np.ndarray:
        """The targets of that rank; None: `NO_TARGET` for all rows."""
        if rank is None:
            return np.full(len(rows), losses.NO_TARGET, np.int32)
        return self.targets[rows, rank]


def checked(x: Any, labels: Any, norm: str) -> tuple[np.ndarray, np.ndarray]:
    """`x` `[N, ...]` and labels `[N]` on the host, in float32 and int32.

    Raises:
      ValueError: shapes that do not fit, `x` out of range, an unknown norm.
      TypeError: labels are not integers, or `x` is not floating point.
    """
    x = np.asarray(x)
    checks.floating(x=x)
    checks.rank_at_least(2, x=x)
    labels = np.asarray(arguments.classes(x, labels=labels))
    if not len(x):
        raise ValueError(f"x must have examples, got shape {x.shape}")
    geometry.norm_named(norm)
    x = np.asarray(x, np.float32)
    geometry.check_bounds(geometry.BOX, x)
    return x, labels


def among(classes: Classes, labels: np.ndarray) -> np.ndarray:
    """The labels as positions among `classes`, which `cut_off` keeps.

    Raises:
      ValueError: classes are not different numbers from 0, or a label is not one of
        them.
    """
    if classes is None:
        return labels
    kept = np.unique(classes)
    whole = np.issubdtype(kept.dtype, np.integer)
    if not whole or kept.size < np.size(classes) or kept[0] < 0:
        raise ValueError(f"classes must be different class numbers, got {classes}")
    outside = np.setdiff1d(labels, kept)
    if len(outside):
        raise ValueError(f"labels must be among classes, got label {outside[0]}")
    return np.searchsorted(kept, labels).astype(np.int32)


def cut_off(classes: Classes, logits_fn: Callable[..., Array]) -> Callable[..., Array]:
    """A function that returns the logits of `classes` alone, in ascending order.

    It raises a `ValueError` if the function has no logits for one of them.
    """
    if classes is None:
        return logits_fn
    kept = np.unique(classes)

    def logits(*given: Array) -> Array:
        found = logits_fn(*given)
        if kept[-1] >= found.shape[-1]:
            raise ValueError(
                f"classes must be less than the {found.shape[-1]} logits, got "
                f"{kept[-1]}"
            )
        return found[..., kept]

    return logits


def content_keys(key: Array, x: np.ndarray) -> Array:
    """`[N]`: the key, folded with the checksum of each example."""
    key = as_keys(key)
    if key.shape:
        raise ValueError(
            f"key must be one key of jax.random.key, got {key.dtype} {key.shape}"
        )
    sums = np.array([zlib.crc32(np.ascontiguousarray(row).tobytes()) for row in x])
    return jax.vmap(jax.random.fold_in, (None, 0))(key, sums.astype(np.uint32))


def clean_logits(
    judge: Judge, x: np.ndarray, keys: Array, batches: Batches
) -> np.ndarray:
    """The logits of all examples, `[N, C]`."""
    parts = []
    for rows in batches.split(np.arange(len(x))):
        padded = batches.padded(rows)
        logits = judge.logits(batches.put(x[padded]), batches.put(keys[padded]))
        parts.append(np.asarray(logits)[: len(rows)])
    return np.concatenate(parts)


def other_classes(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """`[N, C - 1]`: the other classes, the most likely first."""
    order = np.argsort(-logits, axis=1, kind="stable").astype(np.int32)
    return order[order != labels[:, None]].reshape(len(labels), -1)
