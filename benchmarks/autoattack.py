"""Seconds of each attack of AutoAttack beside the reference's, on one core.

    python benchmarks/autoattack.py --norm linf
    python benchmarks/autoattack.py --norm l2 --num_examples 100

The network and the images are those that the reference was timed on: a small CNN,
adversarially trained on Fashion-MNIST, and the first 500 test images. Its seconds were
measured on one core of another machine of this kind: compare with care. Compilation
and running are timed apart.
"""

import argparse
import os
import pathlib
import sys
from collections import defaultdict

os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

import jax
import numpy as np

import ikl_jax
from ikl_jax.attacks.common.classifier import Classifier
from ikl_jax.attacks.ensemble import versions
from ikl_jax.attacks.ensemble.passes import Progress, Record
from tests.support.references import autoattack_reference as reference

COMPILING = "/jax/core/compile/"


class Seconds:
    """By stage: all of them, and those of tracing and compiling."""

    def __init__(self, stages: list[str]) -> None:
        self._stages = stages
        self.whole: dict[str, float] = defaultdict(float)
        self.compiling: dict[str, float] = defaultdict(float)
        self._since_record = 0.0
        jax.monitoring.register_event_duration_secs_listener(self._event)

    def _event(self, event: str, duration_secs: float, **_: str | int) -> None:
        if event.startswith(COMPILING):
            self._since_record += duration_secs

    def record(self, record: Record, _: Progress) -> None:
        stage = self._stages[record.number]
        self.whole[stage] += record.seconds
        self.compiling[stage] += min(self._since_record, record.seconds)
        self._since_record = 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--norm", choices=list(reference.NORMS), default="linf")
    parser.add_argument("--num_examples", type=int, default=500)
    parser.add_argument("--batch_size", type=int)
    arguments = parser.parse_args()
    golden, norm = reference.golden(), arguments.norm
    prefix, count = reference.NORMS[norm], arguments.num_examples
    epsilon = float(golden[f"{prefix}/eps"])
    x, labels = (array[:count] for array in reference.images())
    logits_fn = reference.network()
    passes = versions.passes("standard", Classifier.of(logits_fn, x), epsilon, norm)
    seconds = Seconds([single.stage for single in passes])
    result = ikl_jax.attacks.autoattack(
        logits_fn, x, labels, epsilon=epsilon, norm=norm, key=jax.random.key(0),
        batch_size=arguments.batch_size, report=seconds.record,
    )  # fmt: skip
    print("| attack | robust | the reference's | seconds | of them compiling |")
    print("|---|---|---|---|---|")
    for stage, theirs in zip(
        result.stages[1:], reference.robust_after(norm), strict=True
    ):
        name = stage.name
        print(
            f"| {name} | {100 * stage.robust_accuracy:.2f} | {theirs:.2f} | "
            f"{seconds.whole[name]:.1f} | {seconds.compiling[name]:.1f} |"
        )
    expected = golden[f"{prefix}/robust"][:count].astype(bool)
    same = float(np.mean(result.robust == expected))
    total, theirs = sum(seconds.whole.values()), float(golden[f"{prefix}/seconds"])
    running = total - sum(seconds.compiling.values())
    print(
        f"\n{norm}, epsilon {epsilon:g}, {count} images: {total:.1f} s, "
        f"{running:.1f} s without compiling; the reference {theirs:.1f} s for 500. "
        f"The same result on {100 * same:.1f} % of the images."
    )


if __name__ == "__main__":
    main()
