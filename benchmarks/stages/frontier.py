"""Stage f: KL against IKL on Fashion-MNIST, a wide residual network, 30 epochs.

A run is `python -m train`, then AutoAttack on 1,000 test images. Finished runs are
kept, and one that was cut off goes on from its last epoch, so the stage may be called
again with the same output. Seeds are the outer loop, so that what is there compares.
"""

import pathlib
import time

from benchmarks.stages.report import Order, Report
from benchmarks.support.cells import Cell, run_all

SEEDS = (0, 1, 2)
STRENGTHS = {"kl": (3, 6), "ikl": (2, 4)}
SETTINGS = (
    "--config.model.name=wide_resnet_16_4",
    "--config.epochs=30",
    "--config.keep_checkpoints=1",
)
AUTOATTACK = ("--attack=autoattack", "--num_examples=1000", "--nopicture")
TINY_AUTOATTACK = (
    "--attack=autoattack", "--num_examples=8", "--nopicture", "--version=apgd-ce",
)  # fmt: skip


def run(order: Order, report: Report) -> None:
    if not order.rehearse and not order.data:
        report.note("not run: --data=FOLDER names the four idx files of Fashion-MNIST")
        return
    workdir = pathlib.Path(order.output) / "frontier"
    for seed, (loss, strength) in settings(order.rehearse):
        cells = {"loss": loss, "strength": strength, "seed": seed}
        with report.attempt("frontier", **cells):
            begin = time.perf_counter()
            cell = create_cell(order, loss, strength, seed)
            (result,) = run_all([cell], workdir, jobs=1).values()
            report.row(
                "frontier", **cells, natural=result["natural_accuracy"],
                pgd=next(iter(result["robust_accuracy"].values())),
                autoattack=judged(result), seconds=time.perf_counter() - begin,
            )  # fmt: skip


def settings(rehearse: bool) -> list[tuple[int, tuple[str, float]]]:
    """Seeds, each with every loss at every strength; a rehearsal takes the last."""
    pairs = [(loss, s) for i in (0, 1) for loss, s in by_index(i)]
    every = [(seed, pair) for seed in SEEDS for pair in pairs]
    return every[-1:] if rehearse else every


def by_index(index: int) -> list[tuple[str, float]]:
    return [(loss, strengths[index]) for loss, strengths in STRENGTHS.items()]


def create_cell(order: Order, loss: str, strength: float, seed: int) -> Cell:
    config = f"configs/fashion_mnist_at.py:loss={loss},strength={strength:g}"
    settings = (f"--config.seed={seed}", f"--config.data.source=idx:{order.data}")
    if order.rehearse:
        config += ",quick"
        settings = (f"--config.seed={seed}", "--config.data.source=digits")
        evaluation = TINY_AUTOATTACK
    else:
        settings += SETTINGS
        evaluation = AUTOATTACK
    return Cell(f"{loss}_{strength:g}_seed{seed}", config, settings, (evaluation,))


def judged(result: dict) -> float:
    """Robust accuracy by the cell's one evaluation."""
    (record,) = result["evaluations"]
    (accuracy,) = record["robust_accuracy"].values()
    return accuracy
