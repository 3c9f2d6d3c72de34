"""Errors and warnings about a classifier under attack.

Clear mistakes raise an error. What often is a mistake that makes a network look robust,
but may be meant, becomes a message in the result's notes and a warning.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from ikl_jax.attacks.common import assumptions, losses
from ikl_jax.attacks.common.classifier import Classifier, Constants
from ikl_jax.attacks.ensemble.batches import Batches
from ikl_jax.attacks.ensemble.judge import Judge
from ikl_jax.types import Array, LogitsFn

SAMPLE = 8  # the number of examples with which a logits function is called twice
# The share of all examples that Square may find after gradients did not.
SQUARE_HELPS = 0.002


def check_logits(logits: np.ndarray) -> None:
    """Raises `ValueError` for logits `[N, C]` that are not finite, or of one class."""
    if logits.shape[1] < 2:
        raise ValueError(
            f"logits_fn must have 2 or more classes, got {logits.shape[1]}"
        )
    for sentence in assumptions.not_finite(logits):
        raise ValueError(sentence)


def doubts(logits: np.ndarray, *, uses_dlr: bool = True) -> Iterator[str]:
    """Messages about the logits `[N, C]` of all examples.

    Args:
      logits: `[N, C]`.
      uses_dlr: whether an attack increases a DLR loss.
    """
    sums, least = logits.sum(axis=1), logits.min()
    if least >= 0 and np.allclose(sums, 1.0, atol=1e-4):
        yield (
            "logits_fn seems to return probabilities; attacks need the logits before "
            "the softmax, whose gradients do not vanish"
        )
    if uses_dlr and logits.shape[1] < losses.TARGETED_DLR_CLASSES:
        yield (
            f"with {logits.shape[1]} classes the DLR loss lacks logits for its "
            "denominator: differences of logits are increased in its place"
        )


def depends_on_batch(
    judge: Judge, x: np.ndarray, keys: Array, batches: Batches
) -> Iterator[str]:
    """A message if logits depend on the other examples of their batch.

    The first batch is computed again with other examples in its second half, by the
    same program.
    """
    rows = batches.padded(next(batches.split(np.arange(len(x)))))
    logits, again = (
        np.asarray(judge.logits(batches.put(x[part]), batches.put(keys[part])))
        for part in (rows, assumptions.mixed(rows))
    )
    yield from assumptions.depends_on_batch(logits, again)


def is_random(logits_fn: LogitsFn, x: np.ndarray) -> Iterator[str]:
    """A message if two calls with the same input return different logits.

    Only the first examples of `x` are put on a device.
    """
    some = jnp.asarray(x[:SAMPLE])
    first, second = (np.asarray(logits_fn(some)) for _ in range(2))
    if not np.array_equal(first, second):
        yield (
            "logits_fn returns other logits when it is called again: if it is meant to "
            'be random, make it a function of (x, key) and use version="rand"'
        )


def is_masked(stages: Sequence[tuple[str, float, float]]) -> Iterator[str]:
    """A message if Square found what the attacks before it did not."""
    for (first, before, _), (name, after, _) in itertools.pairwise(stages):
        followed = name == "square" and first != "clean"
        if followed and before - after > SQUARE_HELPS:
            yield (
                f"Square, which uses no gradients, lowered robust accuracy from "
                f"{100 * before:.2f} to {100 * after:.2f} %: gradients are probably "
                "masked, and a stronger adaptive attack is called for"
            )


def has_no_gradient(
    classifier: Classifier, x: Array, labels: Array, keys: Array
) -> Iterator[str]:
    """A message if the gradient of some examples is zero.

    Args:
      classifier: the classifier.
      x: `[B, ...]`, some examples.
      labels: `[B]`, their labels.
      keys: `[B]`, their keys.
    """

    def total(x: Array, constants: Constants, labels: Array, keys: Array) -> Array:
        logits = classifier.logits(constants, x, keys)
        return jnp.sum(losses.cross_entropy(logits, labels))

    gradient_fn: Callable[..., Array] = jax.jit(jax.grad(total))
    gradient = gradient_fn(x, classifier.constants(x, keys), labels, keys)
    flat = int(jnp.sum(~jnp.any(gradient.reshape(len(x), -1) != 0, axis=1)))
    if flat:
        yield (
            f"the gradient of the cross-entropy is zero for {flat} of {len(x)} "
            "examples: gradients may be masked, and robust accuracy overestimated"
        )
