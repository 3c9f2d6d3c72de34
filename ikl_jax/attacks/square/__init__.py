"""The Square Attack: random search over square windows, from logits alone.

References: Andriushchenko et al., "Square Attack: a query-efficient black-box
adversarial attack via random search", https://arxiv.org/abs/1912.00049, 2020; in an l1
ball, Croce & Hein, https://arxiv.org/abs/2103.01208, 2021.
"""

import functools

import jax
import jax.numpy as jnp

from ikl_jax import checks
from ikl_jax.attacks.common import arguments, assumptions
from ikl_jax.attacks.common.attack import AttackResult, Found
from ikl_jax.attacks.common.classifier import Classifier
from ikl_jax.attacks.common.keys import example_keys
from ikl_jax.attacks.square.search import Square
from ikl_jax.types import Array, LogitsFn

__all__ = ["Square", "square"]


def square(
    logits_fn: LogitsFn,
    x: Array,
    labels: Array,
    *,
    epsilon: float,
    norm: str = "linf",
    queries: int = 5000,
    p_init: float = 0.8,
    key: Array,
) -> AttackResult:
    """Searches the epsilon-ball around images by random changes, from logits alone.

    What is found for an example does not depend on the batch that it is in. Each call
    compiles its programs anew: to attack many batches, keep one `Square`.

    Args:
      logits_fn: `[B, h, w, K]` to `[B, C]`, each example's logits depending on its own
        input only.
      x: `[B, h, w, K]` floating point in [0, 1].
      labels: `[B]` integers.
      epsilon: radius of the ball, > 0, in the units of `x`.
      norm: "linf", "l2" or "l1".
      queries: the number of perturbed inputs to look at for each example, with the
        start, >= 1.
      p_init: the share of the image's area that the first windows have, in (0, 1].
      key: one key, folded with each row's index, or `[B]` keys, one for each example.

    Returns:
      The first misclassified input that was met for each example, and how many were
      looked at: 0 where x itself is misclassified. Logits that depend on the rest of
      the batch or are not finite, and a ball that holds all inputs, are warned of.

    Raises:
      ValueError: `x` is not a batch of images or not in [0, 1], labels out of range or
        not one for each example, epsilon not positive, an unknown norm, queries below
        1, p_init outside of (0, 1].
      TypeError: `x` is not floating point, labels are not integers, or the call is
        inside of `jit`, `grad` or `vmap`.

    Examples:
      >>> import jax, jax.numpy as jnp, ikl_jax
      >>> x = jnp.full((1, 4, 4, 1), 0.5)
      >>> brightness = lambda x: jnp.mean(x, axis=(1, 2)) @ jnp.array([[1.0, -1.0]])
      >>> logits_fn = lambda x: brightness(x) - jnp.array([[0.45, -0.45]])
      >>> label, key = jnp.array([0]), jax.random.key(0)
      >>> found = ikl_jax.attacks.square(logits_fn, x, label, epsilon=0.1, key=key)
      >>> print(found.broken, jnp.argmax(logits_fn(found.x_adv), axis=-1))
      [ True] [1]
    """
    arguments.from_python("square", x, labels, epsilon, key)
    x, labels = arguments.inputs(x, labels)
    arguments.images(x)
    x = x.astype(jnp.float32)
    classifier = Classifier.of(logits_fn, x)
    arguments.from_python("square", classifier.arrays)
    checks.labels_in_range(labels, classifier.num_classes)
    attack = Square(classifier, epsilon, norm, queries, p_init)
    keys = example_keys(key, len(x))
    logits_of = functools.partial(
        jax.jit(classifier.logits), classifier.constants(x, keys)
    )
    assumptions.warn(assumptions.check_logits_fn(logits_of, x, keys))
    assumptions.warn(assumptions.covers_box(x, epsilon, norm))
    search = attack.search(x, labels, keys)
    result = Found(search.x_adv, search.broken).or_nothing(x).measured(x, norm)
    return result._replace(queries=search.queries)
