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
# # AutoAttack on your own function
#
# AutoAttack takes any function from images in [0, 1] to logits. Three are attacked
# here: a linear classifier that scikit-learn has fitted, the distances to the mean
# image of each class, and a function that hides its gradients, which is not the same as
# being robust.
#
# The page is executed whenever the documentation is built.

# %%
import warnings

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from ikl_jax import attacks

digits = load_digits()
images = np.asarray(digits.images[..., None] / 16, np.float32)  # [1797, 8, 8, 1]
labels = np.asarray(digits.target)
x, y = images[1500:1600], labels[1500:1600]
EPSILON = 0.1

# %% [markdown]
# ## Three functions


# %%
fitted = LogisticRegression(C=0.1, max_iter=200)
fitted.fit(images[:1500].reshape(1500, -1), labels[:1500])
kernel = jnp.asarray(fitted.coef_.T, jnp.float32)
bias = jnp.asarray(fitted.intercept_, jnp.float32)
mean_images = jnp.stack([images[:1500][labels[:1500] == k].mean(0) for k in range(10)])


def linear(x):
    return x.reshape(len(x), -1) @ kernel + bias


def nearest_mean(x):
    """Minus the squared distance to the mean image of each class."""
    return -jnp.sum((x[:, None] - mean_images) ** 2, axis=(2, 3, 4))


def rounded(x):
    """The same on images of three grey levels: its gradient is zero everywhere."""
    return nearest_mean(jnp.round(2 * x) / 2)


functions = {"linear": linear, "nearest mean": nearest_mean, "rounded": rounded}

# %% [markdown]
# ## The attack
#
# The standard version makes four attacks. Each gets the images that those before it
# have not broken, so robust accuracy can only fall.

# %%
results = {}
for name, function in functions.items():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they are in `notes`, too
        results[name] = attacks.autoattack(
            function, x, y, epsilon=EPSILON, key=jax.random.key(0)
        )
    print(
        f"{name}:",
        ", ".join(f"{s.name} {s.robust_accuracy:.0%}" for s in results[name].stages),
    )

# %%
figure, axis = plt.subplots(figsize=(7, 3.2))
stages = [stage.name for stage in results["linear"].stages]
for number, (name, result) in enumerate(results.items()):
    heights = [100 * stage.robust_accuracy for stage in result.stages]
    axis.bar(np.arange(len(stages)) + 0.27 * (number - 1), heights, 0.25, label=name)
axis.set_xticks(range(len(stages)), stages)
axis.set(ylabel="robust accuracy after it (%)", ylim=(0, 100))
axis.legend()
figure.tight_layout()

# %% [markdown]
# The function that rounds has no gradient to follow, so the attacks that need one find
# little, and it looks far more robust than the function inside of it. Square, which
# only compares outputs, finds more. AutoAttack says what looks wrong:

# %%
for name, result in results.items():
    for note in result.notes or ["nothing looks wrong"]:
        print(f"{name}: {note}")

# %% [markdown]
# ## The images
#
# `x_adv` holds what was found. The middle row is the difference, grey where it is zero.

# %%
broken = np.flatnonzero(~results["linear"].robust & (linear(x).argmax(1) == y))[:8]
x_adv = np.asarray(results["linear"].x_adv)
predicted = np.asarray(linear(jnp.asarray(x_adv)).argmax(1))
figure, axes = plt.subplots(3, len(broken), figsize=(9, 3.6))
for column, index in zip(axes.T, broken, strict=True):
    column[0].imshow(x[index, ..., 0], cmap="gray", vmin=0, vmax=1)
    difference = x_adv[index] - x[index]
    column[1].imshow(difference[..., 0], cmap="gray", vmin=-EPSILON, vmax=EPSILON)
    column[2].imshow(x_adv[index, ..., 0], cmap="gray", vmin=0, vmax=1)
    column[0].set_title(f"{y[index]}")
    column[2].set_title(f"{predicted[index]}", color="tab:red")
for axis in axes.flat:
    axis.set_axis_off()
figure.tight_layout()

# %% [markdown]
# ## Every epsilon at once
#
# `distances` looks for the nearest misclassified input, without a radius. The share of
# images that are farther away than epsilon is an upper bound of robust accuracy at that
# epsilon. Here it meets what AutoAttack has found at 0.1.

# %%
figure, axis = plt.subplots(figsize=(6, 3.5))
epsilons = np.linspace(0, 0.4, 200)
for number, name in enumerate(("linear", "nearest mean")):
    found = attacks.distances(functions[name], x, y)
    axis.plot(epsilons, [100 * (found > e).mean() for e in epsilons], label=name)
    at = 100 * results[name].stages[-1].robust_accuracy
    axis.plot(EPSILON, at, "o", color=f"C{number}")
    print(
        f"{name}: {(found > EPSILON).mean():.0%} by distance, {at:.0f}% by AutoAttack"
    )
axis.set(xlabel="epsilon (l∞)", ylabel="robust accuracy (%)", ylim=(0, 100))
axis.legend()
axis.grid(alpha=0.3)
figure.tight_layout()

# %% [markdown]
# The same call takes a network of Linen, NNX, Equinox or Haiku:
# [Robustness](../../robustness/#how-do-i-attack-a-function-of-my-own) shows each, and
# [the API](../../api/attacks/) every argument.
