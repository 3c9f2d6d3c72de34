"""Stage c: the IKL-AT step with AWP, ours and the same algorithm in torch.

For each network and precision, the two take turns. Both read one number from the device
after each step: its loss, by which the table shows that they compute the same.
"""

import gc
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from benchmarks.stages import cards, clock
from benchmarks.stages.report import Order, Report
from benchmarks.support import step
from train.planning import flops
from train.recipes import RECIPES, Task

CLASSES = 100
TINY_CLASSES = 10
# Model and batch size; the second of each pair is for a rehearsal, which takes one
# precision of the second model, since compiling is what takes its time.
CASES = (
    (("wide_resnet_34_10", 128), ("wide_resnet_10_1", 4)),
    (("wide_resnet_swish_28_10", 512), ("wide_resnet_swish_10_1", 4)),
)
SECONDS = 12.0  # of a pair that takes turns
COMPILES = 60.0  # seconds that must be left to try torch.compile


class Case(NamedTuple):
    model: str
    batch_size: int
    dtype: str
    num_classes: int
    attack_steps: int

    def task(self) -> Task:
        task = step.make_task(self.model, self.num_classes, self.dtype)
        task.config.attack.steps = self.attack_steps
        return task

    def batch(self) -> step.Batch:
        return step.make_batch(self.batch_size, self.num_classes)

    def cells(self, by: str) -> dict[str, Any]:
        precision = cards.precision(self.dtype)
        return {
            "model": self.model, "batch": self.batch_size, "by": by,
            "precision": precision,
        }  # fmt: skip


class Contender(NamedTuple):
    """A step that takes part.

    Attributes:
      by: names it in the table.
      losses: each `next` runs one step.
      compile_seconds: of tracing and compiling; None where nothing was compiled before.
      planned: bytes that the compiler says a step needs.
      peak: the most bytes that were in use, by JAX since the stage began.
    """

    by: str
    losses: Iterator[float]
    compile_seconds: float | None = None
    planned: int | None = None
    peak: Callable[[], int | None] = lambda: None


def run(order: Order, report: Report) -> None:
    for full, tiny in CASES:
        model, batch_size = tiny if order.rehearse else full
        sizes = (TINY_CLASSES, 1) if order.rehearse else (CLASSES, 5)
        both = not order.rehearse or tiny == CASES[0][1]
        for dtype in ("bfloat16", "float32") if both else ("bfloat16",):
            case = Case(model, batch_size, dtype, *sizes)
            race(case, order, report, [jax_contender, torch_contender])
            jax.clear_caches()
    if report.seconds_left < COMPILES:
        report.note("no time was left for torch.compile")
        return
    full, tiny = CASES[0]
    sizes = (TINY_CLASSES, 1) if order.rehearse else (CLASSES, 5)
    case = Case(*(tiny if order.rehearse else full), "bfloat16", *sizes)
    race(case, order, report, [compiled_torch_contender])


def race(
    case: Case,
    order: Order,
    report: Report,
    makers: list[Callable[[Case], Contender | None]],
) -> None:
    """Adds a row for each contender that runs."""
    contenders: list[Contender] = []
    first: dict[str, tuple[float, float]] = {}  # seconds, and the loss
    for make in makers:
        by = make.__name__.replace("_contender", "").replace("_", " ")
        with report.attempt("steps", **case.cells(by)):
            contender = make(case)
            if contender is None:
                report.row("steps", **case.cells(f"{by} not installed"))
                continue
            begin = time.perf_counter()
            loss = next(contender.losses)
            first[contender.by] = (time.perf_counter() - begin, loss)
            contenders.append(contender)
            if len(contenders) == 1:  # a row, whatever the next one does to the process
                report_alone(report, case, contender)
    seconds = 0.5 if order.rehearse else SECONDS
    with report.attempt("steps", **case.cells("all")):
        times = clock.medians(
            {c.by: lambda c=c: next(c.losses) for c in contenders}, seconds=seconds
        )
        operations = count_operations(case)
        for contender in contenders:
            report_step(report, case, contender, times, operations, first)
    contenders.clear()
    gc.collect()


def report_alone(report: Report, case: Case, contender: Contender) -> None:
    """A row from three steps, before another framework joins the process."""
    call = lambda: next(contender.losses)
    times = clock.medians({contender.by: call}, seconds=0.0)
    rate = case.batch_size / times[contender.by]
    report.row("steps_alone", **case.cells(contender.by), **{"images/s": rate})


def report_step(
    report: Report,
    case: Case,
    contender: Contender,
    times: dict[str, float],
    operations: int,
    first: dict[str, tuple[float, float]],
) -> None:
    seconds, peak = times[contender.by], cards.peak(case.dtype)
    rate = operations / seconds / 1e12
    report.row(
        "steps",
        **case.cells(contender.by),
        **{
            "step_ms": 1e3 * seconds,
            "images/s": case.batch_size / seconds,
            "TFLOP/s": rate,
            "share_of_peak": rate / peak if peak else None,
            "compile_s": contender.compile_seconds,
            "first_step_s": first[contender.by][0],
            "planned_GB": gigabytes(contender.planned),
            "peak_GB": gigabytes(contender.peak()),
            "first_loss": first[contender.by][1],
        },
    )


def gigabytes(count: int | None) -> float | None:
    return None if count is None else count / 1e9


def count_operations(case: Case) -> int:
    """Of one step, from the recipe itself; the same for all contenders."""
    built = RECIPES["adversarial"].build(case.task())
    state = jax.eval_shape(built.init, jax.random.key(0))
    return flops.count(built.step, state, case.batch())


def jax_contender(case: Case) -> Contender:
    form = step.in_one_program("", case.task(), case.batch(), unroll=None)
    stats = jax.devices()[0].memory_stats
    peak = lambda: (stats() or {}).get("peak_bytes_in_use")
    return Contender("jax", form.losses, form.compile_seconds, form.memory, peak)


def torch_contender(case: Case, *, compiled: bool = False) -> Contender | None:
    found = cards.torch_device()
    if found is None:
        return None
    from benchmarks import torch_step

    torch, device = found
    task, batch = case.task(), case.batch()
    trainer = torch_step.Trainer(
        task.config, step.torch_arrays(task), form=step.torch_form(task),
        natural_once=True, device=device, compiled=compiled,
        autocast=torch.bfloat16 if case.dtype == "bfloat16" else None,
    )  # fmt: skip
    losses = trainer.losses(np.array(batch["image"]), np.array(batch["label"]))
    peak = lambda: None
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        peak = torch.cuda.max_memory_allocated
    return Contender("torch, compiled" if compiled else "torch", losses, peak=peak)


def compiled_torch_contender(case: Case) -> Contender | None:
    return torch_contender(case, compiled=True)
