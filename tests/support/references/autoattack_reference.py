"""The network that the reference's AutoAttack was run on, its images and its verdicts."""

import jax
import jax.numpy as jnp
import numpy as np

from tests.conftest import GOLDEN

NORMS = {"linf": "Linf", "l2": "L2"}


def golden():
    return np.load(GOLDEN / "autoattack_fashion_mnist_cnn.npz")


def images():
    """The first 500 test images of Fashion-MNIST in [0, 1], and their labels."""
    stored = np.load(GOLDEN / "fashion_mnist_test_500.npz")
    return stored["images"].astype(np.float32) / 255, stored["labels"].astype(np.int32)


def network(dtype=jnp.float32):
    """Its logits function, `[B, 28, 28, 1]` to `[B, 10]` in float32.

    The weights are brought to JAX's layout once, not at every call. All but the last
    layer computes in `dtype`.
    """
    stored = golden()
    kernel = lambda i: stored[f"weights/{i}.weight"]
    first, second = (
        jnp.asarray(kernel(i).transpose(2, 3, 1, 0), dtype) for i in (0, 2)
    )
    # What torch flattens is [C, H, W].
    features = kernel(5).reshape(-1, second.shape[-1], 7, 7).transpose(2, 3, 1, 0)
    hidden = jnp.asarray(features.reshape(-1, len(kernel(5))), dtype)
    last = jnp.asarray(kernel(7).T)
    biases = [jnp.asarray(stored[f"weights/{i}.bias"], dtype) for i in (0, 2, 5)]
    biases.append(jnp.asarray(stored["weights/7.bias"]))

    def convolved(x, kernel):
        return jax.lax.conv_general_dilated(
            x, kernel, (2, 2), ((1, 1), (1, 1)),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )  # fmt: skip

    def logits_fn(x):
        x = x.astype(dtype)
        x = jax.nn.relu(convolved(x, first) + biases[0][None, None, None])
        x = jax.nn.relu(convolved(x, second) + biases[1][None, None, None])
        x = jax.nn.relu(x.reshape(len(x), -1) @ hidden + biases[2][None])
        return x.astype(jnp.float32) @ last + biases[3][None]

    return logits_fn


def robust_after(norm):
    """What the reference says after each of its four attacks, in percent."""
    lines = golden()[f"{NORMS[norm]}/stages"]
    return [float(str(line).split(": ")[1].split("%")[0]) for line in lines]
