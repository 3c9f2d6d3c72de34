"""What attacks increase, and what says that a prediction is wrong.

All take logits `[B, C]` and labels `[B]` and return one value per example, `[B]`.

Reference: Croce & Hein, "Reliable evaluation of adversarial robustness with an ensemble
of diverse parameter-free attacks", https://arxiv.org/abs/2003.01690, 2020, section 4.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ikl_jax.types import Array

# Logits, labels and targets to one loss an example.
AimedLoss = Callable[[Array, Array, Array], Array]

# Logits may be equal, and the denominators zero.
SMALLEST = 1e-12
# Below them the losses of the paper have too few logits for their denominators.
DLR_CLASSES, TARGETED_DLR_CLASSES = 3, 4


def cross_entropy(logits: Array, labels: Array) -> Array:
    """Of the label, -log softmax(logits)[label]."""
    return -_of(jax.nn.log_softmax(logits), labels)


def margin(logits: Array, labels: Array) -> Array:
    """The largest other logit minus the label's: >= 0 where the label is not alone."""
    return jnp.max(_others(logits, labels), axis=-1) - _of(logits, labels)


def dlr(logits: Array, labels: Array) -> Array:
    """Difference of logits ratio: the margin in units of the first less the third.

    With two classes there is no third, and it is the margin.
    """
    if logits.shape[-1] < DLR_CLASSES:
        return margin(logits, labels)
    ordered = jnp.sort(logits, axis=-1)
    scale = ordered[..., -1] - ordered[..., -3]
    return margin(logits, labels) / (scale + SMALLEST)


def target_margin(logits: Array, labels: Array, targets: Array) -> Array:
    """The target's logit minus the label's: zero on the boundary between the two."""
    return _of(logits, targets) - _of(logits, labels)


def targeted_dlr(logits: Array, labels: Array, targets: Array) -> Array:
    """The target's logit minus the label's, in units of the first less 3rd and 4th.

    With fewer than four classes it is the difference itself.
    """
    difference = target_margin(logits, labels, targets)
    if logits.shape[-1] < TARGETED_DLR_CLASSES:
        return difference
    ordered = jnp.sort(logits, axis=-1)
    scale = ordered[..., -1] - 0.5 * (ordered[..., -3] + ordered[..., -4])
    return difference / (scale + SMALLEST)


def untargeted(loss: Callable[[Array, Array], Array]) -> AimedLoss:
    """The loss of logits and labels, for attacks that also hand over targets."""
    return lambda logits, labels, targets: loss(logits, labels)


def is_wrong(logits: Array, labels: Array) -> Array:
    """Whether the prediction is another class, `[B]`."""
    return jnp.argmax(logits, axis=-1) != labels


def runner_up(logits: Array, labels: Array) -> Array:
    """The most likely class other than the label, `[B]`."""
    return jnp.argmax(_others(logits, labels), axis=-1)


def _of(values: Array, classes: Array) -> Array:
    return jnp.take_along_axis(values, classes[..., None], axis=-1)[..., 0]


def _others(logits: Array, labels: Array) -> Array:
    """Logits with the label's out of the way."""
    return jnp.where(
        jax.nn.one_hot(labels, logits.shape[-1], dtype=bool), -jnp.inf, logits
    )
