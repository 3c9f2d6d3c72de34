"""Value and gradient of `ikl_loss` against KL, the pairwise form, and mere streaming.

    python benchmarks/loss.py

Prints one Markdown table. All columns of a row are timed in one process, interleaved;
times are medians, ratios are of medians. "arrays" is the temporary memory of the
compiled program in units of batch x classes floats. Streaming reads logits, targets
and weights once and writes two arrays of that size, as the gradients are. "sample" is
IKL with the weights that it takes from the targets itself.
"""

import argparse
import functools
import pathlib
import statistics
import sys
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

import ikl_jax
from ikl_jax.types import Array

SIZES = ((128, 10), (128, 100), (256, 1000), (64, 32000), (8, 152000))
PAIRWISE_BYTES = 4e9  # beyond this the batch x classes x classes arrays do not fit
SLOW = 0.1  # seconds from which a call is timed fewer times

Inputs = tuple[Array, Array, Array]
Loss = Callable[[Array, Array, Array], Array]


def ikl(logits: Array, target_logits: Array, weights: Array) -> Array:
    return ikl_jax.ikl_loss(logits, target_logits, weights, alpha=20.0, beta=5.0)


def ikl_sample_weights(logits: Array, target_logits: Array, weights: Array) -> Array:
    return ikl_jax.ikl_loss(logits, target_logits, alpha=20.0, beta=5.0)


def kl(logits: Array, target_logits: Array, weights: Array) -> Array:
    log_predictions = jax.nn.log_softmax(logits)
    return optax.losses.kl_divergence(log_predictions, jax.nn.softmax(target_logits))


def pairwise_ikl(logits: Array, target_logits: Array, weights: Array) -> Array:
    """The definition: differences of all pairs of classes."""
    difference = target_logits - logits
    pairs = difference[:, :, None] - difference[:, None, :]
    products = weights[:, :, None] * weights[:, None, :]
    squared_error = 0.25 * jnp.sum(products * pairs**2, axis=(1, 2))
    targets = jax.lax.stop_gradient(jax.nn.softmax(target_logits))
    cross_entropy = -jnp.sum(targets * jax.nn.log_softmax(logits), axis=1)
    return 20.0 * squared_error + 5.0 * cross_entropy


def value_and_gradients(loss: Loss) -> Callable[..., object]:
    return jax.value_and_grad(lambda n, m, w: loss(n, m, w).mean(), argnums=(0, 1))


def stream(logits: Array, target_logits: Array, weights: Array) -> tuple[Array, Array]:
    return logits + target_logits + weights, logits - target_logits


def inputs(batch: int, classes: int) -> Inputs:
    keys = jax.random.split(jax.random.key(0), 3)
    logits, target_logits, others = (
        3 * jax.random.normal(key, (batch, classes)) for key in keys
    )
    return logits, target_logits, jax.nn.softmax(others)


def measure(
    functions: dict[str, Callable[..., object]], arguments: Inputs, repetitions: int
) -> dict[str, tuple[float, float]]:
    """Median seconds and temporary bytes of each function, calls interleaved."""
    compiled = {
        name: jax.jit(function).lower(*arguments).compile()
        for name, function in functions.items()
    }
    once = {name: _seconds(call, arguments) for name, call in compiled.items()}
    slow = {name for name in compiled if once[name] > SLOW}
    times: dict[str, list[float]] = {name: [] for name in compiled}
    for repetition in range(repetitions):
        for name, call in compiled.items():
            if name not in slow or repetition < 3:
                times[name].append(_seconds(call, arguments))
    return {
        name: (
            statistics.median(times[name]),
            _temporary_bytes(compiled[name]),
        )
        for name in compiled
    }


def _temporary_bytes(compiled: jax.stages.Compiled) -> float:
    analysis = compiled.memory_analysis()
    return analysis.temp_size_in_bytes if analysis else float("nan")


def _seconds(call: Callable[..., object], arguments: Inputs) -> float:
    start = time.perf_counter()
    jax.block_until_ready(call(*arguments))
    return time.perf_counter() - start


def row(batch: int, classes: int, repetitions: int) -> list[str]:
    functions = {
        "ikl": value_and_gradients(ikl),
        "sample": value_and_gradients(ikl_sample_weights),
        "kl": value_and_gradients(kl),
        "stream": stream,
    }
    if 3 * 4 * batch * classes**2 <= PAIRWISE_BYTES:
        functions["pairwise"] = value_and_gradients(pairwise_ikl)
    results = measure(functions, inputs(batch, classes), repetitions)
    time_of = functools.partial(_milliseconds, results)
    ikl_seconds, ikl_bytes = results["ikl"]
    cells = [f"{batch} × {classes}", time_of("ikl"), time_of("sample"), time_of("kl")]
    for other in ("kl", "stream"):
        for ours in ("ikl", "sample"):
            cells.append(f"{results[ours][0] / results[other][0]:.2f}")
    cells.append(f"{ikl_bytes / (4 * batch * classes):.1f}")
    if "pairwise" in results:
        seconds, memory = results["pairwise"]
        cells += [f"{seconds / ikl_seconds:,.0f}", f"{memory / 1e6:,.0f}"]
    else:
        cells += ["does not fit", f"({3 * 4 * batch * classes**2 / 1e6:,.0f})"]
    return cells


def _milliseconds(results: dict[str, tuple[float, float]], name: str) -> str:
    return f"{1e3 * results[name][0]:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=100)
    repetitions = parser.parse_args().repetitions
    print(f"jax {jax.__version__}, {jax.devices()[0].device_kind}\n")
    header = [
        "batch × classes", "IKL ms", "sample ms", "KL ms", "IKL / KL",
        "sample / KL", "IKL / stream", "sample / stream", "IKL arrays",
        "pairwise / IKL", "pairwise MB",
    ]  # fmt: skip
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for batch, classes in SIZES:
        print("| " + " | ".join(row(batch, classes, repetitions)) + " |", flush=True)


if __name__ == "__main__":
    main()
