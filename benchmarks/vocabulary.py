"""The losses of a linear head against the dense form: time where both fit, and memory.

    python benchmarks/vocabulary.py
    python benchmarks/vocabulary.py --memory

The first command times value and gradients with respect to the student's hidden states
and kernel, IKL towards given logits and towards a teacher's head. All columns of a row
are timed in one process, interleaved; times are medians, ratios are of medians. "dense"
forms the logits of all tokens, "sum" is `linear_head` with `example_weights`, "by
token" without. "labels" is the dense cross-entropy with labels: what the student's head
costs without distillation. jax-cce and tokamax compute that without all logits; their
columns are there if the packages are installed.

The second command compiles the dense form and the sum for 8,192 tokens, a teacher's
head in bfloat16, and growing vocabularies, and prints the memory of temporaries beyond
one float32 array of each gradient, in MB and in bytes a token. Nothing is run. (XLA for
CPU also keeps a float32 copy of each bfloat16 kernel, which accelerators do not.)
"""

import argparse
import importlib.util
import pathlib
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

import ikl_jax
from ikl_jax import linear_head
from ikl_jax.linear_head import Head
from ikl_jax.types import Array

SIZES = (
    (2048, 256, 16_000, 1024), (1024, 256, 8_000, 256), (512, 256, 32_000, 128),
    (256, 512, 64_000, 64),
)  # fmt: skip
VOCABULARIES = (32_000, 64_000, 128_256, 152_064, 262_144)
TOKENS, WIDTH = 8_192, 2_048
Student = tuple[Array, Array]  # hidden states and kernel
Target = Array | Student


def logits_of(target: Target) -> Array:
    if isinstance(target, tuple):
        return jnp.dot(*target, preferred_element_type=jnp.float32)
    return target


def dense(student: Student, target: Target, labels: Array, size: int | None) -> Array:
    return ikl_jax.ikl_loss(logits_of(student), logits_of(target), alpha=2.0).mean()


def by_token(
    student: Student, target: Target, labels: Array, size: int | None
) -> Array:
    side = Head(*target) if isinstance(target, tuple) else target
    return linear_head.ikl_loss(Head(*student), side, alpha=2.0, chunk_size=size).mean()


def summed(student: Student, target: Target, labels: Array, size: int | None) -> Array:
    side = Head(*target) if isinstance(target, tuple) else target
    each = jnp.full(len(labels), 1 / len(labels))
    return linear_head.ikl_loss(
        Head(*student), side, alpha=2.0, chunk_size=size, example_weights=each
    )


def with_labels(
    student: Student, target: Target, labels: Array, size: int | None
) -> Array:
    losses = optax.softmax_cross_entropy_with_integer_labels(logits_of(student), labels)
    return losses.mean()


def yardsticks() -> dict[str, Callable[..., Array]]:
    """Cross-entropies of labels without all logits, of packages that are installed."""
    found: dict[str, Callable[..., Array]] = {}
    if importlib.util.find_spec("jax_cce"):
        from jax_cce import linear_cross_entropy  # pyright: ignore

        found["jax-cce"] = lambda student, target, labels, size: linear_cross_entropy(
            student[0], student[1].T, labels
        )
    if importlib.util.find_spec("tokamax"):
        import tokamax  # pyright: ignore
        from absl import flags

        flags.FLAGS.mark_as_parsed()  # tokamax would read this script's own

        found["tokamax"] = lambda student, target, labels, size: (
            tokamax.linear_softmax_cross_entropy_loss(
                student[0], labels, student[1], reduction="mean"
            )
        )
    return found


def value_and_gradients(loss: Callable[..., Array], size: int | None) -> Any:
    """Of a loss with respect to the student; the target is stopped."""
    return jax.value_and_grad(lambda s, t, labels: loss(s, t, labels, size))


def arguments(tokens: int, width: int, classes: int, form: str) -> tuple[Any, ...]:
    """A student, a target and labels."""
    keys = jax.random.split(jax.random.key(0), 5)
    draw = jax.random.normal
    student = draw(keys[0], (tokens, width)), 0.1 * draw(keys[1], (width, classes))
    teacher = draw(keys[2], (tokens, width)), 0.1 * draw(keys[3], (width, classes))
    labels = jax.random.randint(keys[4], (tokens,), 0, classes)
    return student, teacher if form == "head" else logits_of(teacher), labels


def medians(
    functions: dict[str, Any], given: Any, repetitions: int
) -> dict[str, float]:
    """Seconds of each function, of which the calls are interleaved."""
    compiled = {
        name: jax.jit(fn).lower(*given).compile() for name, fn in functions.items()
    }
    times: dict[str, list[float]] = {name: [] for name in compiled}
    for repetition in range(repetitions + 1):
        for name, call in compiled.items():
            start = time.perf_counter()
            jax.block_until_ready(call(*given))
            if repetition:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(found) for name, found in times.items()}


def print_times(repetitions: int) -> None:
    labelled = {"labels": with_labels, **yardsticks()}
    losses = {"dense": dense, "sum": summed, "by token": by_token, **labelled}
    header = [
        "tokens × width × vocabulary", "chunk", "target", "dense (ms)", "sum / dense",
        "by token / dense", *(f"{name} / dense" for name in labelled),
    ]  # fmt: skip
    print_row(header)
    print_row(["---"] * len(header))
    for tokens, width, classes, size in SIZES:
        for form in ("logits", "head"):
            functions = {
                name: value_and_gradients(loss, size) for name, loss in losses.items()
            }
            given = arguments(tokens, width, classes, form)
            found = medians(functions, given, repetitions)
            ratios = [f"{found[name] / found['dense']:.2f}" for name in losses]
            print_row([
                f"{tokens:,} × {width} × {classes:,}", f"{size}", form,
                f"{1e3 * found['dense']:.0f}", *ratios[1:],
            ])  # fmt: skip


def temporary_bytes(loss: Callable[..., Array], classes: int) -> int:
    """Of the compiled value and gradients, beyond the gradients in float32."""
    of = lambda *shape, dtype=jnp.bfloat16: jax.ShapeDtypeStruct(shape, dtype)
    student = of(TOKENS, WIDTH), of(WIDTH, classes)
    fn = value_and_gradients(loss, None)
    compiled = (
        jax.jit(fn).lower(student, student, of(TOKENS, dtype=jnp.int32)).compile()
    )
    analysis: Any = compiled.memory_analysis()
    return analysis.temp_size_in_bytes - 4 * WIDTH * (classes + TOKENS)


def print_memory() -> None:
    print_row(
        [
            "vocabulary",
            "dense (MB)",
            "sum (MB)",
            "dense (bytes a token)",
            "sum (bytes a token)",
        ]
    )
    print_row(["---"] * 5)
    for classes in VOCABULARIES:
        found = [temporary_bytes(loss, classes) for loss in (dense, summed)]
        print_row(
            [
                f"{classes:,}",
                *(f"{each / 1e6:,.0f}" for each in found),
                *(f"{each / TOKENS:,.0f}" for each in found),
            ]
        )


def print_row(cells: list[str]) -> None:
    print("| " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=10)
    parser.add_argument("--memory", action="store_true")
    flags = parser.parse_args()
    print(f"jax {jax.__version__}, {jax.devices()[0].device_kind}\n")
    if flags.memory:
        print_memory()
    else:
        print_times(flags.repetitions)


if __name__ == "__main__":
    main()
