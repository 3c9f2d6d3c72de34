"""Recipes on a small network, batches for them, and steps taken with them."""

import jax
import jax.numpy as jnp
import numpy as np

import train.networks.model
from configs import base
from ikl_jax import models
from tests.conftest import small_images
from train.networks import converted
from train.recipes import RECIPES, Task, optim

STEPS_PER_EPOCH = 3


MODEL = "cnn"


def make(model=MODEL, name="adversarial", mesh=None, **changed):
    config = base.get_config()
    config.recipe = name
    config.model.name = model
    config.loss.update(dict(alpha=2.0, beta=1.0))
    config.attack.update(dict(steps=2, epsilon=0.05, relative_step_size=0.5))
    config.optimizer.update(dict(schedule="constant", learning_rate=0.05))
    for field, value in changed.items():
        section, _, key = field.partition("__")
        if key:
            config[section][key] = value
        else:
            config[section] = value
    network = train.networks.model.create(config, 4)
    task = Task(config, network, 4, (12, 12, 1), STEPS_PER_EPOCH, mesh)
    return RECIPES[name].build(task), task


def batch(count=16, start=0):
    images, labels = small_images(channels=1)
    rows = slice(start, start + count)
    return {
        "image": jnp.asarray(images[rows]),
        "label": jnp.asarray(labels[rows].astype(np.int32)),
    }


def taught(count=16, seed=0):
    logits = jax.random.normal(jax.random.key(seed), (count, 4))
    return batch(count) | {"teacher_logits": 3 * logits}


def after(recipe_, steps=1):
    state = recipe_.init(jax.random.key(0))
    step = jax.jit(recipe_.step)
    for i in range(steps):
        state, metrics = step(state, batch(start=16 * i))
    return state, metrics


def other_weights(path, num_classes=10, name="cnn", class_names=None, scale=1.0):
    model = models.create(name, num_classes)
    variables = model.init(jax.random.key(3), jnp.zeros((1, 8, 8, 1)))
    variables = jax.tree.map(lambda leaf: leaf * scale, variables)
    written = converted.Converted(name, num_classes, None, variables, class_names)
    converted.write(path, written)
    return path


def assert_trees_close(ours, expected, **tolerance):
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, **tolerance)


def distance(ours, other):
    pairs = zip(jax.tree.leaves(ours), jax.tree.leaves(other), strict=True)
    return float(sum(jnp.sum(jnp.abs(a - b)) for a, b in pairs))


def rates(config, epochs):
    """The learning rate in the middle of each epoch."""
    schedule = optim.schedule(config.optimizer, epochs=epochs, steps_per_epoch=10)
    return np.array([float(schedule(10 * epoch + 5)) for epoch in range(epochs)])
