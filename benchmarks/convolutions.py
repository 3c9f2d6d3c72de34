"""How much of the training step its convolutions take, each timed by itself.

    python benchmarks/convolutions.py

The step is that of `train_step.py`. Its convolutions (forward, and the gradients with
respect to images and to kernels) are read from the traced program with their counts,
compiled one at a time and timed on random arrays, in turns with the whole step. Where
their sum is near the step's time, little else is left to save; it is no lower bound,
since the step may run several at once and keeps their arrays in the cache.
"""

import argparse
import collections
import pathlib
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from benchmarks.support import step as training_step
from train.recipes import RECIPES

# Shapes of the operands and the result, and the primitive's parameters.
Convolution = tuple[tuple[tuple[int, ...], ...], tuple[tuple[str, Any], ...]]


def convolutions(jaxpr: Any, times: int = 1) -> collections.Counter[Convolution]:
    """Each convolution of a program, with how often it runs (loops unrolled)."""
    found: collections.Counter[Convolution] = collections.Counter()
    for equation in jaxpr.eqns:
        if equation.primitive.name == "conv_general_dilated":
            variables = (*equation.invars, *equation.outvars)
            shapes = tuple(variable.aval.shape for variable in variables)
            found[shapes, tuple(sorted(equation.params.items()))] += times
        rounds = times * equation.params.get("length", 1)
        for inner in jax.tree.leaves(
            list(equation.params.values()), is_leaf=is_program
        ):
            if is_program(inner):
                found += convolutions(getattr(inner, "jaxpr", inner), rounds)
    return found


def is_program(value: Any) -> bool:
    return hasattr(value, "eqns") or hasattr(value, "jaxpr")


def kind(convolution: Convolution) -> str:
    """What a convolution computes, from how it names its operands' axes."""
    parameters = dict(convolution[1])
    numbers = parameters["dimension_numbers"]
    if numbers.lhs_spec[0] != 0:
        return "kernel gradient"
    forward = numbers.rhs_spec[0] == 3  # [height, width, input, output]
    return "forward" if forward else "image gradient"


def compiled(convolution: Convolution) -> Callable[[], jax.Array]:
    (lhs, rhs, _), parameters = convolution
    random = np.random.default_rng(0)
    operands = [jnp.asarray(random.normal(size=s), jnp.float32) for s in (lhs, rhs)]

    def run(lhs: jax.Array, rhs: jax.Array) -> jax.Array:
        return jax.lax.conv_general_dilated_p.bind(lhs, rhs, **dict(parameters))

    executable = jax.jit(run).lower(*operands).compile()
    return lambda: executable(*operands)


def milliseconds(
    functions: dict[Any, Callable[[], Any]], repetitions: int
) -> dict[Any, float]:
    """Median times, taken in turns after one call that is not timed."""
    times: dict[Any, list[float]] = {name: [] for name in functions}
    for repetition in range(repetitions + 1):
        for name, function in functions.items():
            begin = time.perf_counter()
            jax.block_until_ready(function())
            if repetition:
                times[name].append(1000 * (time.perf_counter() - begin))
    return {name: statistics.median(values) for name, values in times.items()}


def print_table(
    counts: collections.Counter[Convolution], times: dict[Any, float]
) -> dict[str, float]:
    """One row a convolution; the sum of each kind comes back."""
    sums: dict[str, float] = collections.defaultdict(float)
    print("| convolution | left | right | result | times | ms each | ms in all |")
    print("|---|---|---|---|---|---|---|")
    for convolution in sorted(counts, key=lambda c: (kind(c), -times[c] * counts[c])):
        total = times[convolution] * counts[convolution]
        sums[kind(convolution)] += total
        shapes = " | ".join("×".join(map(str, shape)) for shape in convolution[0])
        print(
            f"| {kind(convolution)} | {shapes} | {counts[convolution]} "
            f"| {times[convolution]:.2f} | {total:.0f} |"
        )
    return sums


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repetitions", type=int, default=9)
    arguments = parser.parse_args()
    if arguments.repetitions < 1:
        parser.error("--repetitions must be >= 1")
    jax.config.update("jax_enable_compilation_cache", False)

    task, batch = training_step.make_task(), training_step.make_batch()
    built = RECIPES["adversarial"].build(task)
    state = training_step.initial_state(built)
    counts = convolutions(jax.make_jaxpr(built.step)(state, batch).jaxpr)
    step, _ = training_step.compiled(built.step, state, batch)

    functions: dict[Any, Callable[[], Any]] = {"step": lambda: step(state, batch)}
    functions |= {convolution: compiled(convolution) for convolution in counts}
    times = milliseconds(functions, arguments.repetitions)
    sums = print_table(counts, times)
    total = sum(sums.values())
    for name, value in sums.items():
        print(f"\n{name}: {value:.0f} ms", end="")
    print(f"\nall convolutions: {total:.0f} ms; the step: {times['step']:.0f} ms")
    print(f"convolutions / step: {total / times['step']:.2f}")


if __name__ == "__main__":
    main()
