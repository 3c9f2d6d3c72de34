"""Batches that mix real and synthetic examples, always in the same numbers.

The examples of a memory are mixed with a task's own in the same way.

The real examples are read in one permutation after another, and so are the synthetic
ones. Each batch takes the next examples of both, in the numbers of `Counts`, and
shuffles its rows, so that each device, group and part of a batch gets examples of both.
"""

import dataclasses
from typing import NamedTuple, Protocol

import grain
import numpy as np

from train.base.config import DataConfig
from train.base.errors import UserError
from train.base.types import Batch
from train.data import order
from train.data.formats import shards
from train.data.splits import DataSet, Memory, Split


class Counts(NamedTuple):
    """The rows of each batch that are real, and those that are synthetic."""

    real: int
    synthetic: int

    @classmethod
    def of(cls, batch_size: int, ratio: float) -> "Counts":
        count = round(ratio * batch_size)
        return cls(batch_size - count, count)


def joined(data: DataSet, data_config: DataConfig, batch_size: int) -> DataSet:
    """The data set with the synthetic images that `data.synthetic` names, if any.

    Raises:
      UserError: they cannot be read, do not fill their share of a batch, or differ in
        shape or classes from the real ones.
    """
    if data.memory is not None:
        _check_memory(data.memory, batch_size)
    if not data_config.synthetic:
        return data
    name = f"data.synthetic={data_config.synthetic}"
    found = shards.open_shards(data_config.synthetic)
    ours = (found.layout.image_shape, found.layout.num_classes)
    theirs = (data.image_shape, data.num_classes)
    if ours != theirs:
        raise UserError(
            f"{name} holds images {ours[0]} of {ours[1]} classes, but those of "
            f"{data_config.source} are {theirs[0]} of {theirs[1]} classes"
        )
    ratio = data_config.synthetic_ratio
    needed = Counts.of(batch_size, ratio).synthetic
    if needed > len(found):
        raise UserError(
            f"{name} holds {len(found)} images, but each batch of {batch_size} "
            f"takes {needed} (data.synthetic_ratio={ratio:g})"
        )
    return dataclasses.replace(data, synthetic=found)


def _check_memory(memory: Memory, batch_size: int) -> None:
    """Refuses a share that leaves the memory or the task's own examples no row."""
    if 0 in (counts := Counts.of(batch_size, memory.share)):
        raise UserError(
            f"continual.memory_share must give both parts of a batch of {batch_size} "
            f"at least one row, got {memory.share:g}: {counts.real} of the task and "
            f"{counts.synthetic} of the memory"
        )


class Others(Protocol):
    """Synthetic images, or a memory."""

    def __len__(self) -> int: ...

    def take(self, indices: np.ndarray) -> Batch:
        """The examples at `indices`: `image` `[B, H, W, K]` and `label` `[B]`."""
        ...


@dataclasses.dataclass(frozen=True)
class Mixture:
    """Real examples followed by synthetic ones, whose indices continue theirs."""

    real: Split
    synthetic: Others

    def take_training(
        self, indices: np.ndarray, crops: np.ndarray | None = None
    ) -> Batch:
        """The examples at `indices`; `crops`, of encoded images, must be None."""
        assert crops is None
        count = len(self.real)
        is_real = indices < count
        taken: list[tuple[np.ndarray, Batch]] = []
        if is_real.any():
            taken.append((is_real, self.real.take_training(indices[is_real])))
        if not is_real.all():
            batch = self.synthetic.take(indices[~is_real] - count)
            taken.append((~is_real, batch))
        return {name: _together(name, taken) for name in ("image", "label")}


def _together(name: str, taken: list[tuple[np.ndarray, Batch]]) -> np.ndarray:
    mask, first = taken[0]
    result = np.empty((len(mask), *first[name].shape[1:]), first[name].dtype)
    for rows, batch in taken:
        result[rows] = batch[name]
    return result


def index_batches(
    mixture: Mixture, counts: Counts, seed: int
) -> grain.MapDataset[np.ndarray]:
    """Batches of indices into the mixture, `[batch_size]` each, without end."""
    real_seed, synthetic_seed = np.random.SeedSequence(seed).generate_state(2)
    real = order.permutations(len(mixture.real), int(real_seed))
    generated = order.permutations(len(mixture.synthetic), int(synthetic_seed))

    def batch_at(position: int, rng: np.random.Generator) -> np.ndarray:
        synthetic = order.run_of(generated, position, counts.synthetic)
        return rng.permutation(
            np.concatenate(
                [
                    order.run_of(real, position, counts.real),
                    len(mixture.real) + synthetic,
                ]
            )
        )

    return order.without_end(batch_at, seed)
