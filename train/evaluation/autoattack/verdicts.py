"""What the records of an AutoAttack evaluation say of each example.

An example is attacked in one pass after another until one breaks it. So one number
tells a process all that it needs to go on with an example: how many passes the example
has resisted.
"""

from collections.abc import Iterable

import numpy as np

from ikl_jax.attacks.ensemble.passes import Record
from train.evaluation.journal import Part


def record_of(part: Part) -> Record:
    """The record that a part of a journal holds."""
    return Record(
        int(part["number"]), part["rows"], part["broken"], part["x_adv"],
        float(part["seconds"]),
    )  # fmt: skip


def resisted(records: Iterable[Record], count: int) -> np.ndarray:
    """`[count]` int32: how many passes each example has resisted; -1: it is broken."""
    passes, broken = np.zeros(count, np.int32), np.zeros(count, bool)
    for record in records:
        passes[record.rows] = np.maximum(passes[record.rows], record.number + 1)
        broken[record.rows[record.broken]] = True
    return np.where(broken, np.int32(-1), passes)


def as_records(passes: np.ndarray, shape: tuple[int, ...]) -> list[Record]:
    """Records from which an attack goes on where examples resisted so many passes.

    Args:
      passes: `[n]`, of examples that are not broken.
      shape: of an example.
    """
    numbers = range(int(passes.max(initial=0)))
    rows = [np.flatnonzero(passes > number) for number in numbers]
    return [
        Record(
            number, of_pass, np.zeros(len(of_pass), bool),
            np.zeros((0, *shape), np.float32), 0.0,
        )
        for number, of_pass in enumerate(rows)
    ]  # fmt: skip
