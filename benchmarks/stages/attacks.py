"""Stage d: AutoAttack, l-infinity, beside the reference package on the same card.

Ours runs in float32, and in bfloat16 judged in float32; the reference, `pyautoattack`,
in float32. "same" is the share of images on which the verdict is the reference's.
"""

import importlib.util
import time
import warnings
from typing import Any

import jax
import numpy as np

import ikl_jax
from benchmarks.stages import cards, networks
from benchmarks.stages.networks import Problem
from benchmarks.stages.report import Order, Report
from ikl_jax.types import LogitsFn

TINY_ATTACKS = ["apgd-ce"]
BATCH_SIZE = 250
IMAGES, TINY_IMAGES = 500, 8
FEWEST = 50
# Forward passes that one image which resists all attacks costs, a gradient being three:
# 1,900 gradients in APGD and FAB, and 7,000 forward passes in FAB and Square.
PASSES = 12_700
COMPILING = "/jax/core/compile/"


class Compiling:
    """Seconds of tracing and compiling since it was made."""

    def __init__(self) -> None:
        self.seconds = 0.0
        jax.monitoring.register_event_duration_secs_listener(self._event)

    def _event(self, event: str, duration_secs: float, **_: str | int) -> None:
        if event.startswith(COMPILING):
            self.seconds += duration_secs


def run(order: Order, report: Report) -> None:
    compiling = Compiling()
    count = TINY_IMAGES if order.rehearse else IMAGES
    with report.attempt("autoattack", network="CNN of the golden data"):
        evaluate(networks.golden().first(count), order, report, compiling)
    name = "wide_resnet_10_1" if order.rehearse else "wide_resnet_28_10"
    with report.attempt("autoattack", network=name):
        problem = networks.drawn(name, count, steps=2 if order.rehearse else 10)
        if not order.rehearse:
            # A larger network compiles longer than the CNN did.
            reserve = 2 * compiling.seconds
            problem = problem.first(affordable(problem, reserve, report))
        evaluate(problem, order, report, compiling)


def affordable(problem: Problem, reserve: float, report: Report) -> int:
    """How many images the time that is left allows for three evaluations.

    `reserve` is what compiling is expected to take.
    """
    forward = jax.jit(problem.float32)
    x = problem.images[:BATCH_SIZE]
    jax.block_until_ready(forward(x))
    begin = time.perf_counter()
    jax.block_until_ready([forward(x) for _ in range(4)])
    each = (time.perf_counter() - begin) / 4 / len(x)
    # Half of the images resist; half of the time is for what is not the network's.
    seconds = max(report.seconds_left - reserve, 0.0)
    left = seconds / 3 / (2 * each * PASSES / 2)
    count = int(np.clip(50 * (left // 50), FEWEST, IMAGES))
    report.note(
        f"{problem.name}: {count} images, since a forward pass takes {1e6 * each:.0f} "
        f"us an image and {seconds:.0f} s are left without compiling"
    )
    return count


def evaluate(
    problem: Problem, order: Order, report: Report, compiling: Compiling
) -> None:
    """A row for each of ours, then the reference's, then how many verdicts agree.

    torch comes last, so that it cannot lose our rows.
    """
    forms = (("bfloat16", problem.bfloat16), ("float32", problem.float32))
    robust: dict[str, np.ndarray] = {}
    for dtype, logits_fn in forms:
        cells = row_start(problem, "ikl_jax", dtype)
        with report.attempt("autoattack", **cells):
            judged = None if dtype == "float32" else problem.float32
            before, begin = compiling.seconds, time.perf_counter()
            result = attacked(problem, logits_fn, judged, order, report)
            robust[dtype] = np.asarray(result.robust)
            report.row(
                "autoattack", **cells, seconds=time.perf_counter() - begin,
                compile_s=compiling.seconds - before,
                clean=result.stages[0].robust_accuracy,
                robust=result.stages[-1].robust_accuracy,
            )  # fmt: skip
    theirs = reference_row(problem, order, report)
    for dtype, ours in robust.items():
        if theirs is not None:
            same = float(np.mean(ours == theirs))
            report.row("verdicts", **row_start(problem, "ikl_jax", dtype), same=same)


def attacked(
    problem: Problem, logits_fn: LogitsFn, judged_by: LogitsFn | None, order: Order,
    report: Report,
) -> Any:  # fmt: skip
    """The result of our AutoAttack; what it warns of becomes notes."""
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        result = ikl_jax.attacks.autoattack(
            logits_fn, problem.images, problem.labels, epsilon=problem.epsilon,
            version=TINY_ATTACKS if order.rehearse else "standard",
            key=jax.random.key(0), batch_size=BATCH_SIZE, judged_by=judged_by,
        )  # fmt: skip
    for note in notes:
        report.note(f"{problem.name}: {note.message}")
    return result


def reference_row(problem: Problem, order: Order, report: Report) -> np.ndarray | None:
    """Which images resist the reference; None: it could not be run."""
    cells = row_start(problem, "pyautoattack", "float32")
    packages = ("torch", "pyautoattack")
    if missing := [name for name in packages if not importlib.util.find_spec(name)]:
        cells["by"] = f"pyautoattack: {' and '.join(missing)} not installed"
        report.row("autoattack", **cells)
        return None
    with report.attempt("autoattack", **cells):
        begin = time.perf_counter()
        clean, robust = reference_verdicts(problem, order)
        report.row(
            "autoattack", **cells, seconds=time.perf_counter() - begin, compile_s=0.0,
            clean=float(clean.mean()), robust=float(robust.mean()),
        )  # fmt: skip
        return robust
    return None


def reference_verdicts(problem: Problem, order: Order) -> tuple[np.ndarray, np.ndarray]:
    """Which images are classified correctly, and which still are under attack."""
    import pyautoattack  # pyright: ignore[reportMissingImports]

    found = cards.torch_device()
    assert found is not None
    torch, device = found
    module = problem.create_torch().to(device, memory_format=torch.channels_last)
    x = torch.tensor(problem.images).permute(0, 3, 1, 2)
    labels = torch.tensor(problem.labels.astype(np.int64))
    chosen: dict[str, Any] = {"version": "standard"}
    if order.rehearse:
        chosen = {"version": "custom", "attacks": TINY_ATTACKS}
    attack = pyautoattack.AutoAttack(
        module, norm="Linf", eps=problem.epsilon, seed=0, device=device, **chosen
    )
    if order.rehearse:
        attack.apgd.n_restarts, attack.square.n_queries = 1, 100

    def correct(x: Any) -> np.ndarray:
        with torch.no_grad():
            parts = [module(part.to(device)).argmax(1) for part in x.split(BATCH_SIZE)]
        return (torch.cat(parts).cpu() == labels).numpy()

    x_adv, _ = attack.run_standard_evaluation(x, labels, batch_size=BATCH_SIZE)
    return correct(x), correct(x_adv)


def row_start(problem: Problem, by: str, dtype: str) -> dict[str, Any]:
    precision = cards.precision(dtype)
    if by == "ikl_jax" and dtype == "bfloat16":
        precision = "bfloat16, judged in float32"
    return {
        "network": problem.name, "images": len(problem.images), "by": by,
        "precision": precision, "epsilon": problem.epsilon,
    }  # fmt: skip
