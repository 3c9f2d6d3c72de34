# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # IKL in an NNX and Optax loop
#
# A small network learns scikit-learn's 1,797 digits by adversarial training: the
# cross-entropy on natural images, and IKL between the predictions on adversarial and on
# natural images. The mean prediction of each class over an epoch becomes IKL's weights
# in the next. Beside it the same network learns without IKL.
#
# The libraries are JAX, Flax (NNX), Optax and `ikl_jax`. The page is executed whenever
# the documentation is built; its source is [a Python
# file](https://jupytext.readthedocs.io/en/latest/formats-scripts.html) in
# `docs/notebooks/`.

# %%
import functools

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from flax import nnx
from sklearn.datasets import load_digits

import ikl_jax

digits = load_digits()
images = np.asarray(digits.images[..., None] / 16, np.float32)  # [1797, 8, 8, 1]
labels = np.asarray(digits.target)
train, test = slice(0, 1500), slice(1500, 1797)
EPSILON = 0.1


# %% [markdown]
# ## The network
#
# Any NNX module that yields logits will do.


# %%
class Network(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.convolution = nnx.Conv(1, 16, kernel_size=(3, 3), rngs=rngs)
        self.hidden = nnx.Linear(8 * 8 * 16, 64, rngs=rngs)
        self.classifier = nnx.Linear(64, 10, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.convolution(x))
        x = nnx.relu(self.hidden(x.reshape(len(x), -1)))
        return self.classifier(x)


# %% [markdown]
# ## The loss
#
# `alpha` multiplies the squared error on pairwise logit differences, `beta` the soft
# cross-entropy. The attack looks for the image within epsilon whose prediction is
# farthest from the natural one; it starts a little beside the image, where the gradient
# of that distance is not zero.


# %%
def attacked(network, x, natural, key):
    """PGD on KL, `[B, 8, 8, 1]`."""
    target = jax.lax.stop_gradient(natural)
    start = x + 0.001 * jax.random.normal(key, x.shape)
    return ikl_jax.attacks.pgd(
        lambda x: ikl_jax.kl_divergence(network(x), target),
        x,
        epsilon=EPSILON,
        step_size=EPSILON / 4,
        steps=5,
        x_init=jnp.clip(start, 0, 1),
    )


def loss_fn(network, x, y, weights, key, alpha, beta):
    natural = network(x)
    cross_entropy = optax.softmax_cross_entropy_with_integer_labels(natural, y)
    adversarial = network(attacked(network, x, natural, key))
    ikl = ikl_jax.ikl_loss(adversarial, natural, weights, alpha=alpha, beta=beta)
    return (cross_entropy + ikl).mean(), natural


# %% [markdown]
# ## The step
#
# `ClassMeans` is a pytree, so it goes through `nnx.jit` as any array does. `accumulate`
# adds a batch, and `advance` ends an epoch. Before the first `advance` all weights are
# equal.


# %%
@functools.partial(nnx.jit, static_argnames=("alpha", "beta"))
def train_step(network, optimizer, means, x, y, key, *, alpha, beta):
    weights = means.weights_for(y)
    gradient = nnx.grad(loss_fn, has_aux=True)
    grads, natural = gradient(network, x, y, weights, key, alpha, beta)
    optimizer.update(network, grads)
    return means.accumulate(natural, y)


@nnx.jit
def accuracies(network, x, y):
    """Natural accuracy, and that under PGD on the cross-entropy with 20 steps."""
    x_adv = ikl_jax.attacks.pgd(
        lambda x: optax.softmax_cross_entropy_with_integer_labels(network(x), y),
        x,
        epsilon=EPSILON,
        step_size=EPSILON / 4,
        steps=20,
        key=jax.random.key(0),
    )
    right = [(network(each).argmax(-1) == y).mean() for each in (x, x_adv)]
    return jnp.stack(right)


def trained(alpha, beta, epochs=20):
    """The network, and epoch by epoch its class means and its test accuracies."""
    network = Network(nnx.Rngs(0))
    optimizer = nnx.Optimizer(network, optax.adam(2e-3), wrt=nnx.Param)
    means, history, curve = ikl_jax.ClassMeans.create(10), [], []
    key, shuffler = jax.random.key(1), np.random.default_rng(0)
    for _ in range(epochs):
        for rows in shuffler.permutation(1500).reshape(-1, 100):
            key, attack_key = jax.random.split(key)
            means = train_step(
                network, optimizer, means, images[train][rows], labels[train][rows],
                attack_key, alpha=alpha, beta=beta,
            )  # fmt: skip
        means = means.advance()
        history.append(np.asarray(means.mean))
        curve.append(np.asarray(accuracies(network, images[test], labels[test])))
    return network, history, np.array(curve)


# %%
natural_network, _, natural_curve = trained(alpha=0.0, beta=0.0)
robust_network, history, robust_curve = trained(alpha=5.0, beta=4.0)

for name, curve in (("cross-entropy", natural_curve), ("with IKL", robust_curve)):
    print(f"{name}: natural {curve[-1, 0]:.1%}, PGD-20 {curve[-1, 1]:.1%}")

# %%
figure, axis = plt.subplots(figsize=(6, 3.5))
for curve, color, name in (
    (natural_curve, "C0", "cross-entropy"),
    (robust_curve, "C1", "with IKL"),
):
    epochs = np.arange(1, len(curve) + 1)
    axis.plot(epochs, 100 * curve[:, 0], color=color, label=f"{name}, natural")
    axis.plot(epochs, 100 * curve[:, 1], "--", color=color, label=f"{name}, PGD-20")
axis.set(xlabel="epoch", ylabel="accuracy on test images (%)", ylim=(0, 101))
axis.legend()
axis.grid(alpha=0.3)
figure.tight_layout()

# %% [markdown]
# ## The class means
#
# Row `k` is the mean prediction for images of class `k`: the weights that IKL gives the
# classes there. After the first epoch they are still flat. Later the diagonal stands
# out, and beside it the classes that are taken for one another.

# %%
figure, axes = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
for axis, epoch in zip(axes, (0, len(history) - 1), strict=True):
    shown = axis.imshow(history[epoch], vmin=0, vmax=1, cmap="viridis")
    axis.set(title=f"after epoch {epoch + 1}", xlabel="predicted", ylabel="class")
    axis.set_xticks(range(10))
    axis.set_yticks(range(10))
_ = figure.colorbar(shown, ax=axes, label="mean probability")
# %%
confused = history[-1] - np.diag(np.full(10, np.inf))
label, other = np.unravel_index(confused.argmax(), confused.shape)
print(f"class {label} is most often taken for {other}: {confused[label, other]:.0%}")

# %% [markdown]
# The numbers of this page are from one seed and a few hundred images: they show how the
# parts fit together, not how good the losses are. What was measured with care is on the
# page [Results](../../results/); every argument is on the page [Losses](../../losses/).
