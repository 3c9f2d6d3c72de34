"""Classifiers and inputs that the tests of FAB share."""

import jax
import jax.numpy as jnp
import numpy as np

from ikl_jax import attacks
from ikl_jax.attacks.common.attack import Batch
from ikl_jax.attacks.common.classifier import Classifier
from ikl_jax.attacks.fab import nearest
from ikl_jax.attacks.fab.search import Fab, State

NORMS = ["linf", "l2", "l1"]

ROWS, FEATURES, CLASSES = 12, 10, 5

RNG = np.random.default_rng(0)


# A third of the entries are at the bounds, so that the box matters.
X = np.clip(RNG.uniform(-0.25, 1.25, (ROWS, FEATURES)), 0, 1).astype(np.float32)

WEIGHT = RNG.standard_normal((FEATURES, CLASSES)).astype(np.float32)

HIDDEN = RNG.standard_normal((FEATURES, 16)).astype(np.float32)

OUT = RNG.standard_normal((16, CLASSES)).astype(np.float32)


def linear(x):
    return x @ jnp.asarray(WEIGHT, x.dtype)


def mlp(x):
    return jnp.tanh(x @ jnp.asarray(HIDDEN)) @ jnp.asarray(OUT)


def predictions(logits_fn, x):
    return np.asarray(jnp.argmax(logits_fn(jnp.asarray(x)), axis=-1))


def other_classes(labels):
    return (labels + 1 + np.arange(len(labels)) % (CLASSES - 1)) % CLASSES


def run(attack, x, labels, targets, key=0):
    keys = jax.random.split(jax.random.key(key), len(x))
    return attack(*map(jnp.asarray, (x, labels, targets)), keys)


def attack_of(logits_fn, x=X, **settings):
    return Fab(Classifier.of(logits_fn, jnp.asarray(x)), **settings)


def program_arguments(attack, x, labels, targets):
    """What its chunks of steps are called with."""
    x, labels, targets = map(jnp.asarray, (x.reshape(len(x), -1), labels, targets))
    keys = jax.random.split(jax.random.key(0), len(x))
    batch = Batch(x, labels, targets, keys)
    search = State(x, nearest.Nearest.none(x))
    return attack.classifier.constants(x, keys), batch, search, 0


def epsilon_that_breaks_half(norm):
    labels = predictions(mlp, X)
    found = attacks.fab(mlp, X, labels, other_classes(labels), norm=norm, steps=8)
    return float(np.median(found.distance)) * 1.001
