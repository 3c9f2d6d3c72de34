"""The distance of every example to the nearest misclassified input."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from ikl_jax import checks
from ikl_jax.attacks.common import arguments, assumptions
from ikl_jax.attacks.common.classifier import Classifier
from ikl_jax.attacks.ensemble import preflight
from ikl_jax.attacks.ensemble.batches import Batches
from ikl_jax.attacks.ensemble.inputs import (
    Classes,
    Inputs,
    among,
    checked,
    clean_logits,
    content_keys,
    cut_off,
    other_classes,
)
from ikl_jax.attacks.ensemble.judge import Judge
from ikl_jax.attacks.fab.search import Fab
from ikl_jax.types import Array, LogitsFn


def distances(
    logits_fn: LogitsFn,
    x: Array | np.ndarray,
    labels: Array | np.ndarray,
    *,
    norm: str = "linf",
    targets: int = 9,
    steps: int = 100,
    batch_size: int | None = None,
    sharding: jax.sharding.Sharding | None = None,
    classes: Classes = None,
    report: Callable[[float], None] = lambda share: None,
) -> np.ndarray:
    """The sizes of the smallest perturbations with which FAB changes the prediction.

    One search serves all radii: the robust accuracy at epsilon is at most the share of
    distances above epsilon. It is an upper bound, since other attacks may find more.

    Args:
      logits_fn: `[B, ...]` to `[B, C]`, as `autoattack` takes it.
      x: `[N, ...]` in [0, 1].
      labels: `[N]` integers in [0, C).
      norm: "linf", "l2" or "l1".
      targets: how many of the other classes a search is made towards, beginning with
        the most likely one.
      steps: steps of each search, >= 0.
      batch_size: examples in one call; it changes only the speed. None: at most 256,
        and 64 on CPU.
      sharding: of a batch over devices.
      classes: the classes that there are, as `autoattack` takes them.
      report: called after each batch with the share of the work that is done.

    Returns:
      `[N]` float32; 0 where x itself is misclassified, infinity where nothing was found
      or a clean forward pass does not confirm it.

    Logits that depend on the other examples of a batch are warned of.

    Raises:
      ValueError: shapes that do not fit, a value outside of its range, logits that are
        not finite, or an unknown norm.
      TypeError: labels are not integers, `x` is not floating point, or the call is
        inside of `jit`, `grad` or `vmap`.

    Examples:
      >>> import jax.numpy as jnp, ikl_jax
      >>> x = jnp.array([[0.5, 0.6], [0.2, 0.9], [0.6, 0.5]])
      >>> labels = jnp.array([1, 1, 1])
      >>> print(ikl_jax.attacks.distances(lambda x: 4 * x, x, labels).round(2))
      [0.05 0.35 0.  ]
    """
    arguments.from_python("distances", x, labels)
    x, labels = checked(x, labels, norm)
    arguments.counts(1, targets=targets)
    batches = Batches.for_examples(len(x), batch_size, sharding)
    labels, logits_fn = among(classes, labels), cut_off(classes, logits_fn)
    classifier = Classifier.of(logits_fn, batches.input(x, batches.small))
    arguments.from_python("distances", classifier.arrays)
    checks.labels_in_range(jnp.asarray(labels), classifier.num_classes)
    judge, keys = Judge(classifier, np.inf, norm), content_keys(jax.random.key(0), x)
    logits = clean_logits(judge, x, keys, batches)
    preflight.check_logits(logits)
    assumptions.warn(preflight.depends_on_batch(judge, x, keys, batches))
    inputs = Inputs(x, labels, other_classes(logits, labels), keys)
    attack = Fab(classifier, 0.0, norm, steps)
    right = np.flatnonzero(logits.argmax(axis=1) == labels)
    parts = [
        (rank, rows)
        for rank in range(min(targets, classifier.num_classes - 1))
        for rows in batches.split(right)
    ]
    x_adv, distance = x.copy(), np.zeros(len(x), np.float32)
    distance[right] = np.inf
    for number, (rank, rows) in enumerate(parts):
        found, far = _nearest(attack, inputs, rank, rows, batches)
        nearer = far < distance[rows]
        x_adv[rows[nearer]], distance[rows[nearer]] = found[nearer], far[nearer]
        report((number + 1) / len(parts))
    wrong = clean_logits(judge, x_adv, keys, batches).argmax(axis=1) != labels
    return np.where(wrong, distance, np.float32(np.inf))


def _nearest(
    attack: Fab, inputs: Inputs, rank: int, rows: np.ndarray, batches: Batches
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest inputs to `rows` towards the target of that rank, and distances."""
    padded = batches.padded(rows)
    x = batches.put(inputs.x[padded])
    labels = batches.put(inputs.labels[padded])
    targets = batches.put(inputs.targets[padded, rank])
    keys = batches.put(inputs.keys[padded])
    nearest = attack.nearest(x, labels, targets, keys, start=x)
    found, far = (np.asarray(part)[: len(rows)] for part in nearest)
    return found, far
