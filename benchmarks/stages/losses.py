"""Stage b: IKL beside KL, torch's `kl_div`, and streaming the same bytes.

A program goes through many batches one after the other, more than the caches hold, so
that what is measured is the work on a batch and not its start from Python. Streaming
reads logits, targets and weights once and writes two arrays of that size, in a program
of the same form. torch starts each operation from Python, as it does in training.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks import loss
from benchmarks.stages import cards, clock
from benchmarks.stages.report import Order, Report

SIZES = ((256, 1000), (64, 32000), (8, 152000))
GOAL = (64, 32000)
TINY = {(256, 1000): (8, 20), (64, 32000): (4, 320), (8, 152000): (2, 1520)}
BYTES = 512e6  # of one of the inputs, over all batches
TINY_BATCHES = 3
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "ikl": loss.value_and_gradients(loss.ikl),
    "ikl_own_weights": loss.value_and_gradients(loss.ikl_sample_weights),
    "optax_kl": loss.value_and_gradients(loss.kl),
    "stream": loss.stream,
}


def run(order: Order, report: Report) -> None:
    """JAX's rows first, so that torch, beside JAX in one process, cannot lose them."""
    for table, measure in (("losses", of_jax), ("losses_and_torch", beside_torch)):
        for size in SIZES:
            batch, classes = TINY[size] if order.rehearse else size
            for dtype in ("float32", "bfloat16"):
                cells = {"batch": batch, "classes": classes, "precision": dtype}
                with report.attempt(table, **cells):
                    count = batches(batch, classes, dtype, order.rehearse)
                    arrays = inputs(count, batch, classes, dtype)
                    seconds = 0.2 if order.rehearse else 1.0
                    columns = measure(arrays, seconds)
                    report.row(table, **cells, **columns, goal=size == GOAL)


def batches(batch: int, classes: int, dtype: str, rehearse: bool) -> int:
    if rehearse:
        return TINY_BATCHES
    return max(3, round(BYTES / (batch * classes * jnp.dtype(dtype).itemsize)))


def inputs(count: int, batch: int, classes: int, dtype: str) -> loss.Inputs:
    """Logits, targets and weights, `[count, batch, classes]`."""
    keys = jax.random.split(jax.random.key(0), 3)
    logits, target_logits, others = (
        3 * jax.random.normal(key, (count, batch, classes), dtype) for key in keys
    )
    return logits, target_logits, jax.nn.softmax(others)


def of_jax(arrays: loss.Inputs, seconds: float) -> dict[str, Any]:
    """Microseconds a batch of each function, and ratios."""
    calls = {name: started(function, arrays) for name, function in FUNCTIONS.items()}
    each = microseconds(calls, seconds, len(arrays[0]))
    num_bytes = arrays[0].nbytes / len(arrays[0])
    return {
        **{f"{name}_us": value for name, value in each.items()},
        "ikl/stream": each["ikl"] / each["stream"],
        "ikl_own_weights/stream": each["ikl_own_weights"] / each["stream"],
        "ikl/optax_kl": each["ikl"] / each["optax_kl"],
        "stream_GB/s": 5 * num_bytes / each["stream"] / 1e3,
    }


def beside_torch(arrays: loss.Inputs, seconds: float) -> dict[str, Any]:
    """Microseconds a batch of IKL and of torch's KL, which take turns."""
    found = cards.torch_device()
    if found is None:
        return {"torch_kl_us": "torch not installed"}
    calls = {
        "ikl": started(FUNCTIONS["ikl"], arrays),
        "torch_kl": torch_kl(*found, arrays),
    }
    each = microseconds(calls, seconds, len(arrays[0]))
    return {
        **{f"{name}_us": value for name, value in each.items()},
        "ikl/torch_kl": each["ikl"] / each["torch_kl"],
    }


def microseconds(
    calls: dict[str, Callable[[], Any]], seconds: float, count: int
) -> dict[str, float]:
    """Medians a batch, of calls that go through `count` of them."""
    times = clock.medians(calls, seconds=seconds)
    return {name: 1e6 * value / count for name, value in times.items()}


def over_batches(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function over the first axis, one batch after the other."""
    return lambda *arrays: jax.lax.map(lambda batch: function(*batch), arrays)


def started(function: Callable[..., Any], arrays: loss.Inputs) -> Callable[[], object]:
    compiled = jax.jit(over_batches(function))
    return lambda: jax.block_until_ready(compiled(*arrays))


def torch_kl(torch: Any, device: Any, arrays: loss.Inputs) -> Callable[[], None]:
    """torch's KL with both gradients under autograd, batch after batch."""
    functional = torch.nn.functional

    def moved(array: jax.Array) -> Any:
        tensor = torch.tensor(jax.device_get(array.astype(jnp.float32)), device=device)
        return tensor.to(getattr(torch, array.dtype.name))

    logits, targets = (moved(array).requires_grad_() for array in arrays[:2])

    def call() -> None:
        for n, m in zip(logits.unbind(), targets.unbind(), strict=True):
            n, m = n.detach().requires_grad_(), m.detach().requires_grad_()
            value = functional.kl_div(
                functional.log_softmax(n, -1), functional.softmax(m, -1),
                reduction="batchmean",
            )  # fmt: skip
            torch.autograd.grad(value, (n, m))
        cards.synchronize(torch, device)

    return call
