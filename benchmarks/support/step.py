"""One IKL-AT training step that several benchmarks time, and its compiled form."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

import ikl_jax
from configs import base
from ikl_jax.models.wide_resnet import WideResNetSwish
from ikl_jax.types import Array
from train.recipes import RECIPES, BuiltRecipe, Task
from train.recipes.state import TrainState

MODEL = "wide_resnet_10_2"
BATCH_SIZE, IMAGE_SHAPE, NUM_CLASSES = 64, (32, 32, 3), 10
SETTINGS = {
    "optimizer.schedule": "constant",
    "optimizer.learning_rate": 0.01,
    "optimizer.momentum": 0.9,
    "optimizer.weight_decay": 5e-4,
    "loss.name": "ikl",
    "loss.alpha": 20.0,
    "loss.beta": 4.0,
    "loss.weights": "class_means",
    "attack.loss": "ikl",
    "attack.alpha": 1.0,
    "attack.beta": 1.0,
    "attack.epsilon": 8 / 255,
    "attack.steps": 5,
    "attack.relative_step_size": 0.5,
    "attack.start": "gaussian",
    "awp.gamma": 0.005,
}
Batch = dict[str, Array]


class Form(NamedTuple):
    """A training step to be timed.

    Attributes:
      name: as the table shows it.
      compile_seconds: trace and compile; None where nothing is compiled.
      losses: each `next` runs one step to its end and returns its loss.
      every: takes part in each so many-th repetition.
      memory: bytes that the compiled program needs; None where they are not known.
    """

    name: str
    compile_seconds: float | None
    losses: Iterator[float]
    every: int = 1
    memory: int | None = None


def make_task(
    model: str = MODEL, num_classes: int = NUM_CLASSES, dtype: str = "float32"
) -> Task:
    config = base.get_config()
    config.update_from_flattened_dict(SETTINGS)
    module = ikl_jax.models.create(model, num_classes, dtype=jnp.dtype(dtype))
    return Task(config, module, num_classes, IMAGE_SHAPE, steps_per_epoch=1000)


def make_batch(size: int = BATCH_SIZE, num_classes: int = NUM_CLASSES) -> Batch:
    random = np.random.default_rng(0)
    shape = (size, *IMAGE_SHAPE)
    labels = random.integers(0, num_classes, size, dtype=np.int32)
    return {
        "image": jnp.asarray(random.integers(0, 256, shape, dtype=np.uint8)),
        "label": jnp.asarray(labels),
    }


def in_one_program(
    name: str, task: Task, batch: Batch, *, unroll: int | None, every: int = 1
) -> Form:
    built = RECIPES["adversarial"].build(task)
    state = initial_state(built)
    with attack_replaced(partial(ikl_jax.attacks.pgd, unroll=unroll)):
        step, seconds = compiled(built.step, state, batch, donate=True)
    return Form(name, seconds, losses(step, state, batch), every, needed(step))


def attack_replaced(pgd: Callable[..., Array]) -> AbstractContextManager:
    """While active, a recipe that is traced attacks with `pgd`.

    The recipe leaves the form of the loop to the library and has no setting for it, but
    it looks up `ikl_jax.attacks.pgd` when it is traced.
    """
    return mock.patch.object(ikl_jax.attacks, "pgd", pgd)


def initial_state(built: BuiltRecipe) -> TrainState:
    return jax.jit(built.init)(jax.random.key(0))


def compiled(
    function: Callable[..., Any], *arguments: Any, donate: bool = False
) -> tuple[Callable[..., Any], float]:
    """The function compiled for these arguments, and the seconds that took."""
    begin = time.perf_counter()
    jitted = jax.jit(function, donate_argnums=0 if donate else ())
    executable = jitted.lower(*arguments).compile()
    return executable, time.perf_counter() - begin


def needed(executable: Any) -> int | None:
    """Bytes of a program's arguments, results and temporaries, donated ones once."""
    used = executable.memory_analysis()
    if used is None:
        return None
    results = used.output_size_in_bytes - used.alias_size_in_bytes
    return used.argument_size_in_bytes + results + used.temp_size_in_bytes


def losses(
    step: Callable[..., Any], state: TrainState, batch: Batch
) -> Iterator[float]:
    while True:
        state, metrics = jax.block_until_ready(step(state, batch))
        yield float(metrics["loss"])


def torch_arrays(task: Task) -> dict[str, np.ndarray]:
    """The weights that the step starts from, by path."""
    weights = initial_state(RECIPES["adversarial"].build(task)).weights
    flat = traverse_util.flatten_dict(weights.params, sep=".")
    flat |= traverse_util.flatten_dict(weights.batch_stats, sep=".")
    return {name: np.asarray(leaf) for name, leaf in flat.items()}


def torch_form(task: Task) -> Any:
    """The form of the task's network, for torch."""
    from benchmarks import torch_step

    model: Any = task.model
    swish = isinstance(model, WideResNetSwish)
    return torch_step.Form(
        model.depth, model.width, task.num_classes, swish, model.normalize
    )
