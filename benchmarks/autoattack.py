"""Seconds of each attack of AutoAttack beside the reference's, on one core.

    python benchmarks/autoattack.py --norm linf
    python benchmarks/autoattack.py --norm l2 --num_examples 100

The network and the images are those that the reference was timed on: a small CNN,
adversarially trained on Fashion-MNIST, and the first 500 test images. Its seconds were
measured on one core of another machine of this kind: for a comparison on this one, run
`autoattack_torch.py` too. Compilation and running are timed apart.

The column "network" is the time that the attack's calls of the network would take by
themselves: their number times the median time of a forward pass or of a gradient with
respect to the input, of the same batch size, measured after each batch. Batches of
which no image stays robust are left out of it, and of the ratio, since such a search
ends early.
"""

import argparse
import os
import pathlib
import sys
import time
from collections import defaultdict

os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

import jax
import jax.numpy as jnp
import numpy as np

import ikl_jax
from ikl_jax.attacks.apgd import Apgd
from ikl_jax.attacks.common.classifier import Classifier
from ikl_jax.attacks.ensemble import versions
from ikl_jax.attacks.ensemble.batches import Batches
from ikl_jax.attacks.ensemble.passes import Pass, Progress, Record
from ikl_jax.attacks.fab import nearest
from ikl_jax.attacks.fab.search import Fab
from ikl_jax.attacks.square import Square
from ikl_jax.types import LogitsFn
from tests.support.references import autoattack_reference as reference

COMPILING = "/jax/core/compile/"


class Network:
    """Times the calls of the network by themselves."""

    def __init__(self, logits_fn: LogitsFn, x: np.ndarray, batches: Batches) -> None:
        self._x, self._batches = x, batches
        total = lambda x: jnp.sum(logits_fn(x)[:, 0])
        self._calls = jax.jit(logits_fn), jax.jit(jax.value_and_grad(total))
        self._seconds: dict[int, list[list[float]]] = defaultdict(lambda: [[], []])
        for size in (batches.size, batches.small):
            self.measure(size)
            self._seconds.clear()  # they were compiled

    def measure(self, count: int) -> int:
        """Times both calls for a batch that holds `count` images; returns its size."""
        rows = self._batches.padded(np.arange(count))
        x = jnp.asarray(self._x[rows])
        for call, seconds in zip(self._calls, self._seconds[len(rows)], strict=True):
            start = time.perf_counter()
            jax.block_until_ready(call(x))
            seconds.append(time.perf_counter() - start)
        return len(rows)

    def seconds(self, size: int, calls: tuple[int, int]) -> float:
        """Of so many forward passes and gradients."""
        medians = [float(np.median(seconds)) for seconds in self._seconds[size]]
        return float(np.dot(medians, calls))


def calls_of(attack: object) -> tuple[int, int]:
    """The forward passes and the gradients of a search that does not end early."""
    if isinstance(attack, Apgd):
        return 0, attack.steps + 1
    if isinstance(attack, Fab):
        return attack.steps + 2 + nearest.LOOKS, attack.steps
    assert isinstance(attack, Square)
    return attack.queries + 1, 0


class Seconds:
    """By stage: all of them, and those of tracing and compiling.

    Attributes:
      whole: of a stage.
      compiling: of a stage.
      running: of the batches that did not end early, without compiling.
      batches: of each stage, the sizes and the calls of these batches.
    """

    def __init__(self, passes: list[Pass], network: Network) -> None:
        self._passes, self._network = passes, network
        self.whole: dict[str, float] = defaultdict(float)
        self.compiling: dict[str, float] = defaultdict(float)
        self.running: dict[str, float] = defaultdict(float)
        self.batches: dict[str, list[tuple[int, tuple[int, int]]]] = defaultdict(list)
        self._since_record = 0.0
        jax.monitoring.register_event_duration_secs_listener(self._event)

    def _event(self, event: str, duration_secs: float, **_: str | int) -> None:
        if event.startswith(COMPILING):
            self._since_record += duration_secs

    def record(self, record: Record, _: Progress) -> None:
        stage, attack = self._passes[record.number][:2]
        compiling = min(self._since_record, record.seconds)
        self.whole[stage] += record.seconds
        self.compiling[stage] += compiling
        size = self._network.measure(len(record.rows))
        if not record.broken.all():
            self.running[stage] += record.seconds - compiling
            self.batches[stage].append((size, calls_of(attack)))
        self._since_record = 0.0

    def network(self, stage: str) -> float:
        """Of the network's calls by themselves."""
        return sum(self._network.seconds(*batch) for batch in self.batches[stage])


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
    batches = Batches.for_examples(count, arguments.batch_size, None)
    seconds = Seconds(passes, Network(logits_fn, x, batches))
    result = ikl_jax.attacks.autoattack(
        logits_fn, x, labels, epsilon=epsilon, norm=norm, key=jax.random.key(0),
        batch_size=arguments.batch_size, report=seconds.record,
    )  # fmt: skip
    print("| attack | robust | the reference's | seconds | compiling | network |")
    print("|---|---|---|---|---|---|")
    for stage, theirs in zip(
        result.stages[1:], reference.robust_after(norm), strict=True
    ):
        name = stage.name
        print(
            f"| {name} | {100 * stage.robust_accuracy:.2f} | {theirs:.2f} | "
            f"{seconds.whole[name]:.1f} | {seconds.compiling[name]:.1f} | "
            f"{seconds.network(name):.1f} |"
        )
    expected = golden[f"{prefix}/robust"][:count].astype(bool)
    same = float(np.mean(result.robust == expected))
    total, theirs = sum(seconds.whole.values()), float(golden[f"{prefix}/seconds"])
    running = total - sum(seconds.compiling.values())
    network = sum(map(seconds.network, seconds.whole))
    print(
        f"\n{norm}, epsilon {epsilon:g}, {count} images: {total:.1f} s, "
        f"{running:.1f} s without compiling, "
        f"{sum(seconds.running.values()) / network:.2f} times the network's calls by "
        f"themselves; the reference {theirs:.1f} s for 500. "
        f"The same result on {100 * same:.1f} % of the images."
    )


if __name__ == "__main__":
    main()
