"""Networks, inputs and losses that the tests of APGD share."""

import jax
import jax.numpy as jnp
import numpy as np

from ikl_jax.attacks.common import losses

NORMS = ["linf", "l2", "l1"]

CROSS_ENTROPY = losses.untargeted(losses.cross_entropy)

DLR = losses.untargeted(losses.dlr)


def difference(logits, labels, targets):
    """Linear in the logits: its optimum is known."""
    rows = jnp.arange(len(labels))
    return logits[rows, targets] - logits[rows, labels]


def with_a_sure_class(weights):
    """One class more, which always wins: its examples keep a search from ending."""
    weights = jnp.asarray(weights, jnp.float32)
    sure = lambda x: jnp.full((len(x), 1), 1e3)
    return lambda x: jnp.concatenate([x @ weights, sure(x)], axis=-1)


def keys_of(count, seed=0):
    return jax.random.split(jax.random.key(seed), count)


def linear_case(seed=0, batch=6, inputs=40, classes=5, low=0.3, high=0.7):
    rng = np.random.default_rng(seed)
    weights = rng.standard_normal((inputs, classes))
    x = rng.uniform(low, high, (batch, inputs)).astype(np.float32)
    labels, targets = rng.integers(0, classes, (2, batch))
    targets = np.where(targets == labels, (labels + 1) % classes, targets)
    slopes = (weights[:, targets] - weights[:, labels]).T
    # The last one is not broken.
    labels[-1], slopes[-1] = classes, weights[:, targets[-1]]
    return weights, x, labels, targets, slopes


def linear_optimum(slopes, x, epsilon, norm):
    """How much a linear function can grow in ball and box (l2: in the ball)."""
    if norm == "l2":
        return epsilon * np.linalg.norm(slopes, axis=1)
    room = np.where(slopes > 0, 1 - x.astype(np.float64), x)
    if norm == "linf":
        return (np.abs(slopes) * np.minimum(room, epsilon)).sum(1)
    growth = []
    for slope, left in zip(np.abs(slopes), room, strict=True):
        order = np.argsort(-slope)
        spent = np.minimum(np.cumsum(left[order]), epsilon)
        growth.append((slope[order] * np.diff(spent, prepend=0.0)).sum())
    return np.array(growth)


def small_cnn(classes=4):
    """Two layers, for images of any shape of two channels."""
    first = 0.7 * jax.random.normal(jax.random.key(1), (3, 3, 2, 6))
    second = 0.7 * jax.random.normal(jax.random.key(2), (3, 3, 6, classes))

    def logits_fn(x):
        convolve = lambda x, kernel: jax.lax.conv_general_dilated(
            x, kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return convolve(jnp.tanh(convolve(x - 0.5, first)), second).mean((1, 2))

    return logits_fn


def cnn_case(batch=7, shape=(8, 6, 2)):
    logits_fn = small_cnn()
    x = jax.random.uniform(jax.random.key(3), (batch, *shape))
    labels = jnp.argmax(logits_fn(x), -1)
    return logits_fn, x, labels


RADII = {"linf": 0.04, "l2": 0.2, "l1": 0.6}
