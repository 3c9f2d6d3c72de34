"""FAB, the fast adaptive boundary attack, as a function.

Reference: Croce & Hein, "Minimally distorted adversarial examples with a fast adaptive
boundary attack", https://arxiv.org/abs/1907.02044, 2020.
"""

import dataclasses

import jax
import jax.numpy as jnp

from ikl_jax import checks
from ikl_jax.attacks.common import geometry
from ikl_jax.attacks.common.classifier import Classifier
from ikl_jax.attacks.fab import boundary
from ikl_jax.attacks.fab.nearest import Nearest
from ikl_jax.attacks.fab.search import Fab
from ikl_jax.types import Array, LogitsFn


def fab(
    logits_fn: LogitsFn,
    x: Array,
    labels: Array,
    targets: Array | None = None,
    *,
    norm: str = "linf",
    steps: int = 100,
    alpha_max: float = 0.1,
    eta: float = 1.05,
    beta: float = 0.9,
) -> Nearest:
    """Searches the nearest input that is misclassified.

    It is deterministic. For several targets take the nearest of their results. The
    network is compiled at each call; within `jax.jit`, at its first.

    Args:
      logits_fn: `[B, ...]` to `[B, C]`, each row depending on its own input only.
      x: `[B, ...]`, floating point, in [0, 1]; searched in float32 or wider.
      labels: `[B]` integers, the right classes.
      targets: `[B]` integers, other classes. Any prediction other than the label
        counts, the target only shows the way. None: each step goes to the nearest of
        all boundaries, which costs a backward pass a class instead of one.
      norm: "linf", "l2" or "l1", by which the nearest is meant.
      steps: number of steps, >= 0.
      alpha_max: the most weight of the clean input's projection, in [0, 1].
      eta: how far to go along the projections, > 0.
      beta: what remains of a perturbation after a step back, in [0, 1].

    Returns:
      The nearest found and its distance: x and infinity where none was, x and 0 where x
      is misclassified. No gradient flows through them.

    Raises:
      ValueError: values outside of their ranges, unknown norm, shapes that do not fit,
        or a target that is its label (values where they are known).
      TypeError: `x` is not floating point, or classes are not integers.

    Examples:
      >>> import jax.numpy as jnp, ikl_jax
      >>> linear = lambda x: jnp.stack([x[:, 0], x[:, 1]], axis=1)
      >>> x = jnp.array([[0.6, 0.5], [0.9, 0.1]])
      >>> labels, targets = jnp.array([0, 0]), jnp.array([1, 1])
      >>> found = ikl_jax.attacks.fab(linear, x, labels, targets, norm="linf")
      >>> print(found.distance.round(3))
      [0.05 0.4 ]
    """
    x, labels = jnp.asarray(x), jnp.asarray(labels)
    checks.floating(x=x)
    checks.rank_at_least(1, x=x)
    geometry.check_bounds((0.0, 1.0), x)
    x = jax.lax.stop_gradient(x.astype(jnp.promote_types(x.dtype, jnp.float32)))
    classifier = Classifier.of(logits_fn, x)
    constants = jax.lax.stop_gradient(classifier.constants)
    classifier = dataclasses.replace(classifier, constants=constants)
    _check_classes(len(x), classifier.num_classes, labels=labels)
    if targets is None:
        aim, targets = boundary.towards_nearest, labels
    else:
        aim, targets = boundary.towards_target, jnp.asarray(targets)
        _check_classes(len(x), classifier.num_classes, targets=targets)
        _check_different(labels, targets)
    attack = Fab(classifier, 0.0, norm, steps, alpha_max, eta, beta, aim)
    keys = geometry.example_keys(jax.random.key(0), len(x))
    *_, nearest = attack.nearest(x, labels, targets, keys, start=x)
    return nearest


def _check_classes(rows: int, num_classes: int, **named: Array) -> None:
    for name, classes in named.items():
        if classes.shape != (rows,):
            raise ValueError(f"{name} must have shape ({rows},), got {classes.shape}")
    checks.classes_in_range(num_classes, **named)


def _check_different(labels: Array, targets: Array) -> None:
    if checks.is_concrete(labels) and checks.is_concrete(targets):
        with jax.ensure_compile_time_eval():
            same = int(jnp.sum(labels == targets))
        if same:
            raise ValueError(
                f"targets must differ from labels, got equal ones in {same} of "
                f"{len(labels)} rows"
            )
