"""All that an evaluation attacks, and what the classifier says of it as it is."""

import zlib
from typing import Any, NamedTuple

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from ikl_jax import checks
from ikl_jax.attacks.common import geometry
from ikl_jax.attacks.ensemble.batches import Batches
from ikl_jax.attacks.ensemble.judge import Judge
from ikl_jax.types import Array


class Inputs(NamedTuple):
    """All that is attacked.

    Attributes:
      x: `[N, ...]` float32 in [0, 1].
      labels: `[N]` int32.
      targets: `[N, C - 1]` int32, the other classes, the most likely first.
      keys: `[N]`, an example's own random key, which its content decides.
    """

    x: np.ndarray
    labels: np.ndarray
    targets: np.ndarray
    keys: Array


def checked(x: Any, labels: Any, norm: str) -> tuple[np.ndarray, np.ndarray]:
    """`x` `[N, ...]` in [0, 1] and labels `[N]`, as attacks are handed them.

    Raises:
      ValueError: shapes that do not fit, `x` out of range, an unknown norm.
      TypeError: labels are not integers, or `x` is not floating point.
    """
    if any(isinstance(array, jax.core.Tracer) for array in (x, labels)):
        raise TypeError(
            "attacks on all examples compile their own programs: call it outside of jit"
        )
    x, labels = jnp.asarray(x), jnp.asarray(labels)
    checks.floating(x=x)
    checks.rank_at_least(2, x=x)
    if labels.shape != x.shape[:1] or not len(x):
        raise ValueError(
            f"x and labels must have one row an example, and some examples, got "
            f"{x.shape} and {labels.shape}"
        )
    geometry.norm_named(norm)
    geometry.check_bounds(geometry.BOX, x)
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise TypeError(f"labels must be integers, got {labels.dtype}")
    return np.asarray(x, np.float32), np.asarray(labels, np.int32)


def content_keys(key: Array, x: np.ndarray) -> Array:
    """`[N]`: the key folded with each example's checksum."""
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key) or key.shape:
        raise ValueError(
            f"key must be one key of jax.random.key, got {key.dtype} {key.shape}"
        )
    sums = np.array([zlib.crc32(np.ascontiguousarray(row).tobytes()) for row in x])
    return jax.vmap(jax.random.fold_in, (None, 0))(key, sums.astype(np.uint32))


def clean_logits(
    judge: Judge, x: np.ndarray, keys: Array, batches: Batches
) -> np.ndarray:
    """Of all examples as they are, `[N, C]`."""
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
