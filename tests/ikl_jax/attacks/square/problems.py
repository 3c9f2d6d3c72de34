"""Classifiers, images and searches that the tests of the Square Attack share."""

import jax
import jax.numpy as jnp

from ikl_jax.attacks.common.classifier import Classifier
from ikl_jax.attacks.common.keys import example_keys
from ikl_jax.attacks.square import Square

EPSILONS = {"linf": 0.05, "l2": 0.4, "l1": 1.5}

KEY = jax.random.key(5)


def images(batch, *shape, least=0.0, most=1.0):
    return jax.random.uniform(
        jax.random.key(0), (batch, *shape), minval=least, maxval=most
    )


def linear(slope, offset=0.0):
    """Two classes; the margin of label 0 is slope . x - offset."""

    def logits_fn(x):
        # Not a matrix product, whose rounding depends on the number of rows.
        value = jnp.sum(x * slope[None], axis=(1, 2, 3)) - offset
        return jnp.stack([jnp.zeros_like(value), value], axis=1)

    return logits_fn


def slope_of(x):
    return jax.random.normal(jax.random.key(1), x.shape[1:])


def searches(logits_fn, x, norm, numbers_of_queries, keys=None):
    """One search for each; all run the same two compiled programs."""
    attack = Square(Classifier.of(logits_fn, x), EPSILONS[norm], norm)
    keys = example_keys(KEY, len(x)) if keys is None else keys
    for queries in numbers_of_queries:
        object.__setattr__(attack, "queries", queries)
        yield attack.search(x, jnp.zeros(len(x), jnp.int32), keys)


def search(logits_fn, x, norm, queries, keys=None):
    return next(searches(logits_fn, x, norm, [queries], keys))


def optimum(slope, norm):
    """The most that a linear function gains in the ball, where the box does not cut."""
    return EPSILONS[norm] * {
        "linf": jnp.abs(slope).sum(),
        "l2": jnp.linalg.norm(slope),
        "l1": jnp.abs(slope).max(),
    }[norm]  # fmt: skip
