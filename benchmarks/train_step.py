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
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

import ikl_jax
from benchmarks.support.step import (
    Batch,
    Form,
    attack_replaced,
    compiled,
    in_one_program,
    initial_state,
    losses,
    make_batch,
    make_task,
    torch_arrays,
    torch_form,
)
from ikl_jax.types import Array
from train.recipes import RECIPES, Task, attack, recipe
from train.recipes.losses import Coefficients, Target
from train.recipes.state import TrainState


class Timing(NamedTuple):
    first_loss: float
    milliseconds: float


def jax_forms(task: Task, batch: Batch) -> list[Form]:
    steps = task.config.attack.steps
    return [
        in_one_program("default (unroll=None)", task, batch, unroll=None),
        in_one_program("compiled loop (unroll=1)", task, batch, unroll=1, every=3),
        in_one_program(f"no loop (unroll={steps})", task, batch, unroll=steps),
        driven_from_python("driven from Python", task, batch),
    ]


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


def torch_forms(task: Task, batch: Batch) -> list[Form]:
    from benchmarks import torch_step

    torch_step.set_threads(os.cpu_count() or 1)
    arrays = torch_arrays(task)
    images, labels = np.array(batch["image"]), np.array(batch["label"])

    def form(name: str, natural_once: bool) -> Form:
        trainer = torch_step.Trainer(
            task.config, arrays, form=torch_form(task), natural_once=natural_once
        )
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
