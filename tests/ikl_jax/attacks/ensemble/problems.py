"""A small random network and its examples, which the tests of the ensemble share."""

import jax
import jax.numpy as jnp
import numpy as np

from ikl_jax import attacks

COUNT, SHAPE, CLASSES = 22, (4, 3, 1), 5

KEY = jax.random.key(3)

FAST = ["apgd-ce", "apgd-t"]


def data(count=COUNT, shape=SHAPE, classes=CLASSES, seed=0):
    """Examples of a small random network, most of them with the label it says."""
    rng = np.random.default_rng(seed)
    size = int(np.prod(shape))
    first = jnp.asarray(rng.standard_normal((size, 16)), jnp.float32) / size**0.5
    last = jnp.asarray(rng.standard_normal((16, classes)), jnp.float32)

    def logits_fn(x):
        return 3 * jnp.tanh(2 * (x.reshape(len(x), -1) - 0.5) @ first) @ last

    x = rng.random((count, *shape)).astype(np.float32)
    labels = np.array(logits_fn(jnp.asarray(x)).argmax(1), np.int32)
    labels[:3] = (labels[:3] + 1) % classes
    return logits_fn, x, labels


def evaluate(*given, epsilon=0.08, version=FAST, key=KEY, **changed):
    return attacks.autoattack(
        *given, epsilon=epsilon, version=version, key=key, **changed
    )
