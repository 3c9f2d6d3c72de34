"""APGD: gradient ascent that chooses its own step size, in three norms.

Reference: Croce & Hein, "Reliable evaluation of adversarial robustness with an ensemble
of diverse parameter-free attacks", https://arxiv.org/abs/2003.01690, 2020, section 3.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from ikl_jax import checks
from ikl_jax.attacks.apgd.search import Apgd
from ikl_jax.attacks.common import arguments, assumptions, losses
from ikl_jax.attacks.common.attack import AttackResult, Found
from ikl_jax.attacks.common.classifier import Classifier
from ikl_jax.attacks.common.keys import example_keys, fold_each
from ikl_jax.types import Array, LogitsFn

__all__ = ["Apgd", "apgd"]

CROSS_ENTROPY = losses.untargeted(losses.cross_entropy)


def apgd(
    logits_fn: LogitsFn,
    x: Array,
    labels: Array,
    *,
    epsilon: float,
    norm: str = "linf",
    loss: losses.AimedLoss = CROSS_ENTROPY,
    targets: Array | None = None,
    steps: int = 100,
    restarts: int = 1,
    key: Array,
) -> AttackResult:
    """Searches the epsilon-ball around each `x` for a misclassified input.

    An input that is misclassified itself counts as found. Each restart attacks only
    the examples for which nothing was found yet, and ends early when none is left. What
    is found for an example does not depend on the batch that it is in. Each call
    compiles its programs anew: to attack many batches, keep one `Apgd`.

    Args:
      logits_fn: `[B, ...]` to `[B, C]`, deterministic, each example's logits depending
        on its own input only (BatchNorm must use its running statistics).
      x: `[B, ...]`, floating point, in [0, 1]; it is converted to float32.
      labels: `[B]` integers in [0, C).
      epsilon: radius of the ball, > 0, in the units of `x`.
      norm: "linf", "l2" or "l1".
      loss: the loss to increase, a function of logits, labels and targets, such as
        `losses.targeted_dlr`. `losses.untargeted` makes one that ignores targets.
      targets: `[B]` integers in [0, C), for a loss that aims at a class. None: the most
        likely class at `x` other than the label.
      steps: gradient steps of each restart, >= 0.
      restarts: the largest number of random starts, >= 1.
      key: one key, folded with each row's index, or `[B]` keys, one for each example.

    Returns:
      The first misclassified input that was met for each example. Logits that depend on
      the rest of the batch or are not finite, and a ball that holds all inputs, are
      warned of.

    Raises:
      ValueError: shapes that do not fit, `x`, labels or targets out of range, epsilon
        or restarts not positive, steps negative, unknown norm, a loss that is not one
        value per example.
      TypeError: `x` is not floating point, labels or targets are not integers, or the
        call is inside of `jit`, `grad` or `vmap`.

    Examples:
      >>> import jax, jax.numpy as jnp, ikl_jax
      >>> x = jnp.array([[0.5, 0.6], [0.2, 0.9]])
      >>> logits_fn = lambda x: x  # the class of the larger pixel
      >>> found = ikl_jax.attacks.apgd(
      ...     logits_fn,
      ...     x,
      ...     labels=jnp.array([1, 1]),
      ...     epsilon=0.1,
      ...     steps=10,
      ...     key=jax.random.key(0),
      ... )
      >>> print(found.broken)
      [ True False]
    """
    arguments.from_python("apgd", x, labels, epsilon, targets, key)
    x, labels = arguments.inputs(x, labels)
    x = x.astype(jnp.float32)
    classifier = Classifier.of(logits_fn, x)
    arguments.from_python("apgd", classifier.arrays)
    checks.labels_in_range(labels, classifier.num_classes)
    arguments.counts(1, restarts=restarts)
    attack = Apgd(classifier, epsilon, norm, loss, steps)
    keys = example_keys(key, len(x))
    logits_of = functools.partial(
        jax.jit(classifier.logits), classifier.constants(x, keys)
    )
    logits = logits_of(x, keys)
    assumptions.warn(assumptions.check_logits_fn(logits_of, x, keys, logits))
    assumptions.warn(assumptions.covers_box(x, epsilon, norm))
    if targets is None:
        targets = losses.runner_up(logits, labels)
    targets = jnp.asarray(arguments.classes(x, targets=targets))
    checks.classes_in_range(classifier.num_classes, targets=targets)

    x_adv, broken = x, losses.is_wrong(logits, labels)
    for restart in range(restarts):
        rows = _rows_left(broken)
        if not len(rows):
            break
        restart_keys = fold_each(keys[rows], restart)
        found = attack(x[rows], labels[rows], targets[rows], restart_keys)
        x_adv = x_adv.at[rows].set(found.x_adv)
        broken = broken.at[rows].set(found.broken)
    return Found(x_adv, broken).measured(x, norm)


def _rows_left(broken: Array) -> np.ndarray:
    """The rows that are not broken, some of them twice.

    Their number is the batch size, or the smallest half, quarter and so on of it that
    has room for them, so that restarts compile for few batch shapes.
    """
    rows = np.flatnonzero(~np.asarray(broken))
    size = len(broken)
    while size // 2 >= max(len(rows), 1):
        size //= 2
    return np.resize(rows, size if len(rows) else 0)
