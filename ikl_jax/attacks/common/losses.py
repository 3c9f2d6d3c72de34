"""Losses that attacks increase, and the test for a wrong prediction.

All take logits `[B, C]` and labels `[B]` and return one value per example, `[B]`.

Reference: Croce & Hein, "Reliable evaluation of adversarial robustness with an ensemble
of diverse parameter-free attacks", https://arxiv.org/abs/2003.01690, 2020, section 4.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ikl_jax.types import Array

# Logits, labels and targets to one loss for each example.
AimedLoss = Callable[[Array, Array, Array], Array]

# Added to denominators, which are zero where logits are equal.
SMALLEST = 1e-12
# In place of a target where there is none.
NO_TARGET = -1
# With fewer classes, there are too few logits for the denominators of these losses.
DLR_CLASSES, TARGETED_DLR_CLASSES = 3, 4


def cross_entropy(logits: Array, labels: Array) -> Array:
    """-log softmax(logits)[label]."""
    return -_of(jax.nn.log_softmax(logits), labels)


def margin(logits: Array, labels: Array) -> Array:
    """The largest other logit minus the label's: negative if the label's is largest."""
    return jnp.max(_others(logits, labels), axis=-1) - _of(logits, labels)


def dlr(logits: Array, labels: Array) -> Array:
    """Difference of logits ratio: the margin over (largest - third largest logit).

    With two classes there is no third logit, and it returns the margin.
    """
    if logits.shape[-1] < DLR_CLASSES:
        return margin(logits, labels)
    first, _, third = _largest(logits, DLR_CLASSES)
    scale = first - third
    return margin(logits, labels) / (scale + SMALLEST)


def target_margin(logits: Array, labels: Array, targets: Array) -> Array:
    """The target's logit minus the label's: zero on the boundary between the two."""
    return _of(logits, targets) - _of(logits, labels)


def targeted_dlr(logits: Array, labels: Array, targets: Array) -> Array:
    """The target's logit minus the label's, over a scale of the logits.

    The scale is the largest logit minus the mean of the third and the fourth largest.
    With fewer than four classes there is no scale, and it returns the difference.
    """
    difference = target_margin(logits, labels, targets)
    if logits.shape[-1] < TARGETED_DLR_CLASSES:
        return difference
    first, _, third, fourth = _largest(logits, TARGETED_DLR_CLASSES)
    scale = first - 0.5 * (third + fourth)
    return difference / (scale + SMALLEST)


def cross_entropy_or_targeted_dlr(
    logits: Array, labels: Array, targets: Array
) -> Array:
    """The targeted DLR loss; cross-entropy where the target is `NO_TARGET`.

    With it, one compiled program makes targeted and untargeted attacks.
    """
    aimed = targets != NO_TARGET
    # The loss that is not asked for has other logits. So its gradient, if it is not a
    # number, cannot reach the logits.
    others = jnp.arange(logits.shape[-1], dtype=logits.dtype)
    given_if = lambda condition: jnp.where(condition[:, None], logits, others)
    targeted = targeted_dlr(given_if(aimed), labels, jnp.where(aimed, targets, 0))
    return jnp.where(aimed, targeted, cross_entropy(given_if(~aimed), labels))


def untargeted(loss: Callable[[Array, Array], Array]) -> AimedLoss:
    """Makes an `AimedLoss`, which ignores its targets."""
    return lambda logits, labels, targets: loss(logits, labels)


def is_wrong(logits: Array, labels: Array) -> Array:
    """Whether the prediction is another class, `[B]`."""
    return jnp.argmax(logits, axis=-1) != labels.astype(jnp.int32)


def runner_up(logits: Array, labels: Array) -> Array:
    """The most likely class other than the label, `[B]`."""
    return jnp.argmax(_others(logits, labels), axis=-1)


def _largest(logits: Array, count: int) -> list[Array]:
    """The `count` largest logits, in falling order, `[B]` each.

    Sorting all and the gradient of that take longer, by several times on CPU.
    """
    result = []
    for _ in range(count):
        place = jax.nn.one_hot(
            jnp.argmax(logits, axis=-1), logits.shape[-1], dtype=bool
        )
        result.append(jnp.sum(jnp.where(place, logits, 0.0), axis=-1))
        logits = jnp.where(place, -jnp.inf, logits)
    return result


def _of(values: Array, classes: Array) -> Array:
    classes = classes.astype(jnp.int32)
    return jnp.take_along_axis(values, classes[..., None], axis=-1)[..., 0]


def _others(logits: Array, labels: Array) -> Array:
    """The logits, with minus infinity for the label."""
    # In a dtype with fewer classes, several columns would be the label's.
    labels = labels.astype(jnp.int32)
    return jnp.where(
        jax.nn.one_hot(labels, logits.shape[-1], dtype=bool), -jnp.inf, logits
    )
