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


def network():
    """Its logits function, `[B, 28, 28, 1]` to `[B, 10]`."""
    stored = golden()
    weights = [
        (jnp.asarray(stored[f"weights/{i}.weight"]), stored[f"weights/{i}.bias"])
        for i in (0, 2, 5, 7)
    ]
    first, second, hidden, last = weights

    def convolved(x, layer):
        kernel, bias = layer
        out = jax.lax.conv_general_dilated(
            x, kernel.transpose(2, 3, 1, 0), (2, 2), ((1, 1), (1, 1)),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )  # fmt: skip
        return jax.nn.relu(out + bias[None, None, None])

    def dense(x, layer):
        kernel, bias = layer
        return x @ kernel.T + bias[None]

    def logits_fn(x):
        x = convolved(convolved(x, first), second)
        x = x.transpose(0, 3, 1, 2).reshape(len(x), -1)
        return dense(jax.nn.relu(dense(x, hidden)), last)

    return logits_fn


def robust_after(norm):
    """What the reference says after each of its four attacks, in percent."""
    lines = golden()[f"{NORMS[norm]}/stages"]
    return [float(str(line).split(": ")[1].split("%")[0]) for line in lines]
