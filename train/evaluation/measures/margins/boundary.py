"""How far the boundary of the label's region is from images: their margin in pixels."""

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console

from train.base.errors import UserError
from train.data.splits import Split
from train.evaluation import records
from train.evaluation.autoattack import attacked, distances
from train.evaluation.target import Target

SEARCH = f"FAB towards {distances.TARGETS} classes"


class Boundary(NamedTuple):
    """Distances of some examples of a part.

    Attributes:
      rows: `[M]`, their rows among the examples that are evaluated.
      distances: `[M]` float32, upper bounds; 0 where the example is misclassified,
        infinity where no other class was found.
      source: how they were found.
    """

    rows: np.ndarray
    distances: np.ndarray
    source: str


def searched(
    target: Target, split: Split, rows: np.ndarray, norm: str, console: Console
) -> Boundary:
    """Searches by FAB for the nearest misclassified images.

    Args:
      target: whose network it is.
      split: the images.
      rows: `[M]`, positions in the split.
      norm: "linf", "l2" or "l1".
      console: to print progress to.
    """
    if not len(rows):
        return Boundary(rows, np.zeros(0, np.float32), SEARCH)
    batch = split.take(rows)
    images = batch["image"].astype(np.float32) / 255
    asked = attacked.of_images(target, images, batch["label"], norm)
    return Boundary(rows, distances.nearest(asked, console), SEARCH)


def stored(target: Target, count: int, norm: str) -> Boundary | None:
    """The distances that an AutoAttack of the same weights has found, if there is one.

    Of several, those of the most examples. They are at most as large as those of
    `searched`, since AutoAttack's own adversarial images count too.

    Args:
      target: of the evaluation.
      count: how many of the first examples are evaluated.
      norm: of the distances.
    """
    arguments = {"attack": "autoattack", "norm": norm, **target.arguments(count)}
    del arguments["num_examples"]
    found: list[Boundary] = []
    for name, arrays in _per_example(target, arguments):
        index = arrays["index"]
        kept = np.flatnonzero(index < count)
        found.append(Boundary(index[kept], arrays["distance"][kept], name))
    return max(found, key=lambda each: len(each.rows), default=None)


def _per_example(
    target: Target, arguments: dict[str, Any]
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """The name and the arrays of each record with these arguments and distances."""
    with contextlib.suppress(UserError):  # damaged files are no reason to stop
        stored = records.read(target.workdir)
        for name, record in stored.items():
            if any(record.get(field) != value for field, value in arguments.items()):
                continue
            with contextlib.suppress(UserError):
                arrays = records.per_example(target.workdir, record)
                if "distance" in arrays:
                    yield name, arrays
