"""Semi-supervised recipes on networks so small that a step is traced at once."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from configs import base
from train.recipes import RECIPES, Task

CLASSES, RATIO, LABELLED = 3, 2, 4
SHAPE = (4, 4, 3)  # a channel for each kind of image


class Linear(nn.Module):
    """Logits that are linear in the pixels, without a bias."""

    num_classes: int = CLASSES

    @nn.compact
    def __call__(self, x, *, train=False):
        x = x.reshape(len(x), -1)
        return nn.Dense(self.num_classes, use_bias=False, name="kernel")(x)


def config(name, **changed):
    """Of a run whose step is the gradient of the consistency alone, at rate 1."""
    whole = base.get_config()
    whole.recipe, whole.batch_size, whole.steps_per_epoch = name, LABELLED, 4
    whole.data.num_labels = 40
    whole.optimizer.update(
        dict(schedule="constant", learning_rate=1.0, momentum=0.0, weight_decay=0.0)
    )
    whole.averaging.update(dict(every="step", decay=0.75, warmup=False))
    whole.loss.update(
        dict(cross_entropy=0.0, temperature=1.0, weight_temperature=1.0,
             weights="sample", alpha=2.0, beta=1.0)
    )  # fmt: skip
    whole.unlabelled.update(dict(ratio=RATIO, threshold=0.0))
    whole.update_from_flattened_dict(
        {field.replace("__", "."): value for field, value in changed.items()}
    )
    return whole


def task(whole, model=None, mesh=None):
    network = Linear() if model is None else model
    return Task(whole, network, CLASSES, SHAPE, whole.steps_per_epoch, mesh)


def built(name, model=None, **changed):
    whole = config(name, **changed)
    RECIPES[name].check(whole)
    return RECIPES[name].build(task(whole, model))


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def batch(seed=0, *, apart=False):
    """uint8 images; `apart`: each kind has only its own channel, the rest is black."""
    count = RATIO * LABELLED
    kinds = {"image": LABELLED, "unlabelled_image": count,
             "unlabelled_second_view": count}  # fmt: skip
    images = {}
    for channel, (name, rows) in enumerate(kinds.items()):
        images[name] = drawn(rows, *SHAPE, seed=10 * seed + channel)
        if apart:
            images[name][..., np.arange(SHAPE[-1]) != channel] = 0
    labels = np.random.default_rng(seed).integers(0, CLASSES, LABELLED)
    columns = images | {"label": labels.astype(np.int32)}
    return {name: jnp.asarray(column) for name, column in columns.items()}


def moved(before, after):
    """How far the weights moved of each kind of image: labelled, weak, strong."""
    change = after.params["kernel"]["kernel"] - before.params["kernel"]["kernel"]
    change = np.abs(np.asarray(change)).reshape(-1, SHAPE[-1], CLASSES)
    return change.max((0, 2))
