"""FAB, the fast adaptive boundary attack: the nearest misclassified input.

Reference: Croce & Hein, "Minimally distorted adversarial examples with a fast adaptive
boundary attack", https://arxiv.org/abs/1907.02044, 2020.
"""

import functools

import jax
import jax.numpy as jnp

from ikl_jax import checks
from ikl_jax.attacks.common import arguments, assumptions
from ikl_jax.attacks.common.attack import AttackResult
from ikl_jax.attacks.common.classifier import Classifier
from ikl_jax.attacks.common.keys import example_keys
from ikl_jax.attacks.fab import boundary
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
) -> AttackResult:
    """Searches for the nearest input that is misclassified.

    It is deterministic. For several targets, take the nearest of their results. Each
    call compiles its programs anew, unless it is part of a function under `jax.jit`.
    There its steps are a compiled loop, in which CPUs run the gradients of convolutions
    many times slower than outside of `jit`; other devices do not.

    Args:
      logits_fn: `[B, ...]` to `[B, C]`, each row depending on its own input only.
      x: `[B, ...]`, floating point, in [0, 1]; the search is in float32 or wider.
      labels: `[B]` integers, the right classes.
      targets: `[B]` integers, other classes, which set the direction of the search. Any
        prediction other than the label counts. None: each step goes to the nearest of
        all boundaries, which costs one backward pass for each class.
      norm: "linf", "l2" or "l1", in which distances are measured.
      steps: number of steps, >= 0.
      alpha_max: the largest weight of the clean input's projection, in [0, 1].
      eta: how far to go along the projections, > 0; above 1, beyond the boundary.
      beta: the share of a perturbation that is left after a step back, in [0, 1].

    Returns:
      The nearest misclassified input of each example and its distance. Outside of
      `jit`, logits that depend on the rest of the batch or are not finite are warned
      of.

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
    x, labels = arguments.inputs(x, labels)
    x = jax.lax.stop_gradient(x.astype(jnp.promote_types(x.dtype, jnp.float32)))
    classifier = Classifier.of(logits_fn, x)
    checks.labels_in_range(labels, classifier.num_classes)
    if targets is None:
        aim, targets = boundary.towards_nearest, labels
    else:
        aim = boundary.towards_target
        targets = jnp.asarray(arguments.classes(x, targets=targets))
        checks.classes_in_range(classifier.num_classes, targets=targets)
        _check_different(labels, targets)
    attack = Fab(classifier, 0.0, norm, steps, alpha_max, eta, beta, aim)
    keys = example_keys(jax.random.key(0), len(x))
    if arguments.inside_jit():
        nearest = attack.nearest_inside_jit(x, labels, targets, keys, start=x)
    else:
        _check(classifier, x, keys)
        nearest = attack.nearest(x, labels, targets, keys, start=x)
    return AttackResult(nearest.x_adv, jnp.isfinite(nearest.distance), nearest.distance)


def _check(classifier: Classifier, x: Array, keys: Array) -> None:
    """Warns of logits that FAB cannot work with, if they are known."""
    constants = classifier.constants(x, keys)
    if all(map(checks.is_concrete, jax.tree.leaves((x, constants)))):
        logits_of = functools.partial(jax.jit(classifier.logits), constants)
        sentences = assumptions.check_logits_fn(logits_of, x, keys)
        assumptions.warn(sentences, stacklevel=4)


def _check_different(labels: Array, targets: Array) -> None:
    if checks.is_concrete(labels) and checks.is_concrete(targets):
        with jax.ensure_compile_time_eval():
            same = int(jnp.sum(labels == targets))
        if same:
            raise ValueError(
                f"targets must differ from labels, got equal ones in {same} of "
                f"{len(labels)} rows"
            )
