"""APGD: gradient ascent without a step size to choose, in three norms.

Reference: Croce & Hein, "Reliable evaluation of adversarial robustness with an ensemble
of diverse parameter-free attacks", https://arxiv.org/abs/2003.01690, 2020, section 3.
"""

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from ikl_jax import checks
from ikl_jax.attacks.apgd.halving import BOX
from ikl_jax.attacks.apgd.search import Apgd
from ikl_jax.attacks.common import geometry, losses
from ikl_jax.attacks.common.attack import Found
from ikl_jax.attacks.common.classifier import Classifier
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
) -> Found:
    """Searches the epsilon-ball around each `x` for a misclassified input.

    Inputs that are misclassified as they are, are found at once; a restart runs only
    where nothing was found yet, and ends early when there is nothing left. What is
    found for an example does not depend on the batch that it is in. Call it from
    Python, not inside of `jit`: it compiles its own programs, at every call. To attack
    many batches, keep one `Apgd`.

    Args:
      logits_fn: `[B, ...]` to `[B, C]`, deterministic, each example's logits depending
        on its own input only (BatchNorm must use its running statistics).
      x: `[B, ...]`, floating point, in [0, 1]; computed with as float32.
      labels: `[B]` integers in [0, C).
      epsilon: radius of the ball, > 0, in the units of `x`.
      norm: "linf", "l2" or "l1".
      loss: what to increase, of logits, labels and targets: `losses.targeted_dlr`, or
        another one through `losses.untargeted`.
      targets: `[B]` integers in [0, C), for a loss that aims at a class. None: the most
        likely class at `x` other than the label.
      steps: gradient steps of each restart, >= 0.
      restarts: how many random starts at most, >= 1.
      key: one key, folded with each row's index, or `[B]` keys, one an example.

    Returns:
      The first misclassified inputs that were met and where there are any. No gradient
      flows through them.

    Raises:
      ValueError: shapes that do not fit, `x`, labels or targets out of range, epsilon
        or restarts not positive, steps negative, unknown norm, a loss that is not one
        value per example.
      TypeError: `x` is not floating point, labels or targets are not integers, or the
        call is inside of `jit`.

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
    x, labels = _checked(x, labels)
    classifier = Classifier.of(logits_fn, x)
    checks.labels_in_range(labels, classifier.num_classes)
    checks.positive(restarts=restarts)
    attack = Apgd(classifier, epsilon, norm, loss, steps)
    keys = geometry.example_keys(key, len(x))
    logits = jax.jit(classifier.logits)(classifier.constants, x, keys)
    if targets is None:
        targets = losses.runner_up(logits, labels)
    targets = jnp.asarray(targets)
    checks.same_shape(targets=targets, labels=labels)
    checks.classes_in_range(classifier.num_classes, targets=targets)

    x_adv, broken = x, losses.is_wrong(logits, labels)
    for restart in range(restarts):
        rows = _rows_left(broken)
        if not len(rows):
            break
        restart_keys = jax.vmap(jax.random.fold_in, (0, None))(keys[rows], restart)
        found = attack(x[rows], labels[rows], targets[rows], restart_keys)
        x_adv = x_adv.at[rows].set(found.x_adv)
        broken = broken.at[rows].set(found.broken)
    return Found(x_adv, broken)


def _checked(x: Array, labels: Array) -> tuple[Array, Array]:
    if any(isinstance(array, jax.core.Tracer) for array in (x, labels)):
        raise TypeError("apgd compiles its own programs: call it outside of jit")
    x, labels = jnp.asarray(x), jnp.asarray(labels)
    checks.floating(x=x)
    checks.rank_at_least(1, x=x)
    if labels.shape != x.shape[:1]:
        raise ValueError(
            f"labels must be one for each of the {len(x)} examples, shape "
            f"{x.shape[:1]}, got {labels.shape}"
        )
    geometry.check_bounds(BOX, x)
    return x.astype(jnp.float32), labels


def _rows_left(broken: Array) -> np.ndarray:
    """Rows that are not broken, some of them twice.

    Their number is the batch's, halved as often as it can be, so that restarts compile
    for few batch shapes.
    """
    rows = np.flatnonzero(~np.asarray(broken))
    size = len(broken)
    while size // 2 >= max(len(rows), 1):
        size //= 2
    return np.resize(rows, size if len(rows) else 0)
