"""The networks that stage d attacks, in JAX and in torch, with their images.

The golden CNN was adversarially trained; its 500 test images of Fashion-MNIST are
stored with it. The wide residual network has drawn weights: BatchNorm's statistics are
those of the images, and the last layer is fitted to their labels by least squares. Its
epsilon is one at which about half of the images resist PGD.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import traverse_util

import ikl_jax
from ikl_jax.types import Array, LogitsFn
from tests.support.references import autoattack_reference as reference

CLASSES = 10
RIDGE = 1e-2  # of the mean square of the features
LOGITS = 5.0  # of the label's class, and minus that over the others
SMALLEST, LARGEST = 1e-4, 0.3  # epsilon


class Problem(NamedTuple):
    """A classifier to be attacked.

    Attributes:
      name: in the tables.
      float32, bfloat16: its logits in JAX.
      images, labels: `[N, H, W, K]` in [0, 1], and `[N]`.
      epsilon: of the l-infinity ball.
      create_torch: yields the same classifier as a module, on the CPU.
    """

    name: str
    float32: LogitsFn
    bfloat16: LogitsFn
    images: np.ndarray
    labels: np.ndarray
    epsilon: float
    create_torch: Any

    def first(self, count: int) -> "Problem":
        return self._replace(images=self.images[:count], labels=self.labels[:count])


def golden() -> Problem:
    images, labels = reference.images()

    def create_torch() -> Any:
        from benchmarks import autoattack_torch

        return autoattack_torch.network(reference.golden())

    return Problem(
        "CNN of the golden data", reference.network(), reference.network(jnp.bfloat16),
        images, labels, float(reference.golden()["Linf/eps"]), create_torch,
    )  # fmt: skip


def drawn(name: str, count: int, steps: int = 10) -> Problem:
    """A wide residual network with drawn weights, on `count` of the stored images."""
    images, labels = (array[:count] for array in reference.images())
    images = np.repeat(np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0))), 3, axis=-1)
    model = ikl_jax.models.create(name, CLASSES, bn_momentum=1.0)
    variables = calibrated(model, jnp.asarray(images), labels)

    def logits_fn(dtype: str) -> Any:
        narrow = ikl_jax.models.create(name, CLASSES, dtype=jnp.dtype(dtype))
        return lambda x: narrow.apply(variables, x, train=False)

    return Problem(
        f"{name}, drawn weights", logits_fn("float32"), logits_fn("bfloat16"),
        images, labels, half_robust(logits_fn("float32"), images, labels, steps),
        lambda: torch_wide_resnet(model, variables),
    )  # fmt: skip


def calibrated(model: Any, images: Array, labels: np.ndarray) -> dict[str, Any]:
    """Drawn weights with the images' statistics and a fitted last layer."""
    variables = jax.jit(lambda x: model.init(jax.random.key(0), x, train=False))(images)
    statistics = jax.jit(
        lambda x: model.apply(variables, x, train=True, mutable=["batch_stats"])[1]
    )
    # In parts, whose statistics are averaged: the whole may not fit.
    parts = [
        statistics(part) for part in np.array_split(images, max(len(images) // 50, 1))
    ]
    mean = jax.tree.map(lambda *leaves: sum(leaves) / len(leaves), *parts)
    params, batch_stats = variables["params"], mean["batch_stats"]

    def features(x: Array) -> Array:
        _, kept = model.apply(
            {"params": params, "batch_stats": batch_stats}, x, train=False,
            capture_intermediates=lambda module, _: module.name == "norm",
        )  # fmt: skip
        (normalised,) = kept["intermediates"]["norm"]["__call__"]
        return model.activation(normalised).mean((1, 2))

    every = np.concatenate(
        [
            jax.jit(features)(part)
            for part in np.array_split(images, max(len(images) // 50, 1))
        ]
    )
    kernel, bias = fitted(every.astype(np.float64), labels)
    layer = {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(bias)}
    return {"params": {**params, "classifier": layer}, "batch_stats": batch_stats}


def fitted(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Kernel and bias of the linear layer that fits `LOGITS` by ridge regression."""
    targets = LOGITS * (
        np.eye(CLASSES)[labels] * (1 + 1 / (CLASSES - 1)) - 1 / (CLASSES - 1)
    )
    mean, offset = features.mean(0), targets.mean(0)
    centred = features - mean
    penalty = RIDGE * np.mean(centred**2) * len(features)
    gram = centred @ centred.T + penalty * np.eye(len(features))
    kernel = centred.T @ np.linalg.solve(gram, targets - offset)
    return kernel.astype(np.float32), (offset - mean @ kernel).astype(np.float32)


def half_robust(
    logits_fn: LogitsFn, images: np.ndarray, labels: np.ndarray, steps: int
) -> float:
    """An epsilon at which about half of the images resist PGD, found by halving."""
    x, right = images[:64], jnp.asarray(labels[:64])

    @jax.jit
    def robust(x: Array, epsilon: Array) -> Array:
        loss = lambda x: optax.losses.softmax_cross_entropy_with_integer_labels(
            logits_fn(x), right
        )
        x_adv = ikl_jax.attacks.pgd(
            loss, x, epsilon=epsilon, step_size=0.25 * epsilon, steps=steps
        )
        return (logits_fn(x_adv).argmax(axis=1) == right).mean()

    low, high = SMALLEST, LARGEST
    for _ in range(8):
        middle = float(np.sqrt(low * high))
        if float(robust(x, jnp.asarray(middle))) > 0.5:
            low = middle
        else:
            high = middle
    return float(np.sqrt(low * high))


def torch_wide_resnet(model: Any, variables: dict[str, Any]) -> Any:
    """The same network as a torch module in evaluation mode."""
    from benchmarks import torch_step

    flat = traverse_util.flatten_dict(variables["params"], sep=".")
    flat |= traverse_util.flatten_dict(variables["batch_stats"], sep=".")
    form = torch_step.Form(model.depth, model.width, CLASSES)
    module = torch_step.WideResNet(form)
    module.load({name: np.asarray(leaf) for name, leaf in flat.items()})
    return module.eval()
