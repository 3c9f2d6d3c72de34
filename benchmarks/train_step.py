"""The time of one whole IKL-AT training step, in each form of the PGD loop.

    python benchmarks/train_step.py
    python benchmarks/train_step.py --torch

What is timed: the recipe's jitted step (5 PGD steps on IKL, the gradient for
adversarial weight perturbation, the training gradient there, SGD, class means) of
wide_resnet_10_2 on 64 random 32x32 images, state in to state out. The rows differ in
where the PGD loop is, which changes no results beyond rounding; `--torch` adds the same
algorithm in torch, on as many threads as there are cores. All start from the same
weights, as the loss of the first step shows. They take turns in one process, and the
median counts; "compile" is trace and compile.

The compiled loop is slow on CPU (see `unroll` of `ikl_jax.attacks.pgd`), so it takes
part in every third repetition only.
"""

import argparse
import importlib.util
import os
import pathlib
import statistics
import sys
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

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

import ikl_jax
from configs import base
from ikl_jax.types import Array
from train.recipes import RECIPES, BuiltRecipe, Task, attack, recipe
from train.recipes.losses import Coefficients, Target
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
    """

    name: str
    compile_seconds: float | None
    losses: Iterator[float]
    every: int = 1


class Timing(NamedTuple):
    first_loss: float
    milliseconds: float


def make_task() -> Task:
    config = base.get_config()
    config.update_from_flattened_dict(SETTINGS)
    model = ikl_jax.models.create(MODEL, num_classes=NUM_CLASSES)
    return Task(config, model, NUM_CLASSES, IMAGE_SHAPE, steps_per_epoch=1000)


def make_batch() -> Batch:
    random = np.random.default_rng(0)
    shape = (BATCH_SIZE, *IMAGE_SHAPE)
    labels = random.integers(0, NUM_CLASSES, BATCH_SIZE, dtype=np.int32)
    return {
        "image": jnp.asarray(random.integers(0, 256, shape, dtype=np.uint8)),
        "label": jnp.asarray(labels),
    }


def jax_forms(task: Task, batch: Batch) -> list[Form]:
    steps = task.config.attack.steps
    return [
        in_one_program("default (unroll=None)", task, batch, unroll=None),
        in_one_program("compiled loop (unroll=1)", task, batch, unroll=1, every=3),
        in_one_program(f"no loop (unroll={steps})", task, batch, unroll=steps),
        driven_from_python("driven from Python", task, batch),
    ]


def in_one_program(
    name: str, task: Task, batch: Batch, *, unroll: int | None, every: int = 1
) -> Form:
    built = RECIPES["adversarial"].build(task)
    state = initial_state(built)
    with attack_replaced(partial(ikl_jax.attacks.pgd, unroll=unroll)):
        step, seconds = compiled(built.step, state, batch, donate=True)
    return Form(name, seconds, losses(step, state, batch), every)


def driven_from_python(name: str, task: Task, batch: Batch) -> Form:
    """The attack outside of the training step: its start, then one call a PGD step."""
    built = RECIPES["adversarial"].build(task)
    start, pgd_step = attack_parts(task)

    def train(state: TrainState, batch: Batch, x_adv: Array) -> Any:
        with attack_replaced(lambda *_, **__: x_adv):
            return built.step(state, batch)

    state = initial_state(built)
    start, start_seconds = compiled(start, state, batch)
    x_adv, natural = start(state, batch)
    pgd_step, attack_seconds = compiled(pgd_step, state, batch, natural, x_adv)
    train, train_seconds = compiled(train, state, batch, x_adv, donate=True)

    def step(state: TrainState, batch: Batch) -> Any:
        x_adv, natural = start(state, batch)
        for _ in range(task.config.attack.steps):
            x_adv = pgd_step(state, batch, natural, x_adv)
        return train(state, batch, x_adv)

    seconds = start_seconds + attack_seconds + train_seconds
    return Form(name, seconds, losses(step, state, batch))


def attack_parts(task: Task) -> tuple[Callable[..., Any], Callable[..., Array]]:
    """The recipe's attack as two functions: where it starts, and one PGD step."""
    config = task.config.attack
    objective, coefficients = attack.OBJECTIVES[config.loss], Coefficients.of(config)

    def start(state: TrainState, batch: Batch) -> tuple[Array, Array]:
        x = recipe.to_pixels(batch["image"])
        x_init, _ = attack.STARTS[config.start](config, x, state.step_key())
        assert x_init is not None
        return x_init, recipe.evaluate_logits(task.model, state.weights, x)

    def pgd_step(
        state: TrainState, batch: Batch, natural: Array, x_adv: Array
    ) -> Array:
        assert state.class_means is not None
        weights = state.class_means.weights_for(batch["label"])
        target = Target(natural, batch["label"], weights)

        def loss(x: Array) -> Array:
            logits = recipe.evaluate_logits(task.model, state.weights, x)
            return objective.loss(logits, target, coefficients)

        return ikl_jax.attacks.pgd(
            loss,
            recipe.to_pixels(batch["image"]),
            epsilon=config.epsilon,
            step_size=config.relative_step_size * config.epsilon,
            steps=1,
            x_init=x_adv,
        )

    return start, pgd_step


def attack_replaced(pgd: Callable[..., Array]) -> AbstractContextManager:
    """While active, a recipe that is traced attacks with `pgd`.

    The recipe leaves the form of the loop to the library and has no setting for it, but
    it looks up `ikl_jax.attacks.pgd` when it is traced.
    """
    return mock.patch.object(ikl_jax.attacks, "pgd", pgd)


def initial_state(built: BuiltRecipe) -> TrainState:
    return built.init(jax.random.key(0))


def compiled(
    function: Callable[..., Any], *arguments: Any, donate: bool = False
) -> tuple[Callable[..., Any], float]:
    """The function compiled for these arguments, and the seconds that took."""
    begin = time.perf_counter()
    jitted = jax.jit(function, donate_argnums=0 if donate else ())
    executable = jitted.lower(*arguments).compile()
    return executable, time.perf_counter() - begin


def losses(
    step: Callable[..., Any], state: TrainState, batch: Batch
) -> Iterator[float]:
    while True:
        state, metrics = jax.block_until_ready(step(state, batch))
        yield float(metrics["loss"])


def torch_forms(task: Task, batch: Batch) -> list[Form]:
    import torch_step

    torch_step.set_threads(os.cpu_count() or 1)
    weights = initial_state(RECIPES["adversarial"].build(task)).weights
    flat = traverse_util.flatten_dict(weights.params, sep=".")
    flat |= traverse_util.flatten_dict(weights.batch_stats, sep=".")
    arrays = {name: np.asarray(leaf) for name, leaf in flat.items()}

    images, labels = np.array(batch["image"]), np.array(batch["label"])

    def form(name: str, natural_once: bool) -> Form:
        trainer = torch_step.Trainer(task.config, arrays, natural_once=natural_once)
        return Form(name, None, trainer.losses(images, labels))

    return [form("torch", False), form("torch, natural logits once", True)]


def measure(forms: list[Form], repetitions: int) -> dict[str, Timing]:
    """Form to its timing; the first step of each warms up and is not timed."""
    first = {form.name: next(form.losses) for form in forms}
    times: dict[str, list[float]] = {form.name: [] for form in forms}
    for repetition in range(repetitions):
        for form in forms:
            if repetition % form.every == 0:
                begin = time.perf_counter()
                next(form.losses)
                times[form.name].append(1000 * (time.perf_counter() - begin))
    return {
        name: Timing(first[name], statistics.median(values))
        for name, values in times.items()
    }


def print_table(forms: list[Form], timings: dict[str, Timing], best: float) -> None:
    print("| form | compile (s) | step (ms) | to the best JAX form | first loss |")
    print("|---|---|---|---|---|")
    for form in forms:
        first_loss, milliseconds = timings[form.name]
        seconds = form.compile_seconds
        compiling = "–" if seconds is None else f"{seconds:.1f}"
        print(
            f"| {form.name} | {compiling} | {milliseconds:.0f} "
            f"| {milliseconds / best:.2f} | {first_loss:.4f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--torch", action="store_true", help="also time torch, on CPU")
    arguments = parser.parse_args()
    if arguments.repetitions < 1:
        parser.error("--repetitions must be >= 1")
    if arguments.torch and importlib.util.find_spec("torch") is None:
        parser.exit(
            1, "--torch needs torch, which is not installed: pip install torch\n"
        )
    if arguments.torch and jax.default_backend() != "cpu":
        parser.exit(1, "--torch compares on CPU: set JAX_PLATFORMS=cpu\n")
    jax.config.update("jax_enable_compilation_cache", False)

    task, batch = make_task(), make_batch()
    of_jax = jax_forms(task, batch)
    of_torch = torch_forms(task, batch) if arguments.torch else []
    timings = measure(of_jax + of_torch, arguments.repetitions)
    best = min(timings[form.name].milliseconds for form in of_jax)
    default = timings[of_jax[0].name].milliseconds
    print_table(of_jax + of_torch, timings, best)
    print(f"\ndefault / best JAX form: {default / best:.2f}")
    for form in of_torch:
        ratio = timings[form.name].milliseconds / default
        print(f"{form.name} / JAX default: {ratio:.2f}")


if __name__ == "__main__":
    main()
