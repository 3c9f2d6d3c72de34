"""The input pipeline: shuffled, augmented batches that depend only on the seed.

Grain permutes indices, not examples. A batch gathers its examples and augments them
with random numbers from its own generator, whose seed is the batch's position. So any
position can be the first to be read: the state that checkpoints keep is one number, and
neither threads nor restarts change what is read.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import grain
import numpy as np

from train.base.config import DataConfig
from train.base.errors import UserError
from train.base.types import Batch
from train.data import mixture, order
from train.data.augment import views
from train.data.reader import Reader, Rows, TrainingPart, all_rows
from train.data.splits import Memory, Split, Synthetic
from train.data.subsets import few_labels

WITHHELD = "withheld_"  # the names of columns begin with it that no step is given


@dataclasses.dataclass(frozen=True)
class Stream:
    """Other examples that join each batch, for instance unlabelled ones.

    Attributes:
      split: the examples, which are read in one permutation after another.
      data_config: says how their images are augmented; it can differ from the run's.
      batch_size: the number of them in each batch, which is always the same.
      labelled: whether their labels are in the batch too, as `NAME_label`.
      withheld: whether their labels are in the batch as `withheld_NAME_label`, which
        no recipe's step is given: they serve to judge what it predicted.
      view: the second view of each image; None: what `data_config` says.

    Raises:
      UserError: there are no examples, or `batch_size` is below 1.
    """

    split: Split
    data_config: DataConfig
    batch_size: int
    labelled: bool = True
    withheld: bool = False
    view: views.View | None = None

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise UserError(f"a stream's batch_size must be > 0, got {self.batch_size}")
        if not len(self.split):
            raise UserError("a stream's split must have examples, got none")


def training_batches(
    split: Split,
    data_config: DataConfig,
    *,
    batch_size: int,
    seed: int,
    rows: Rows = all_rows,
    columns: Mapping[str, np.ndarray] | None = None,
    synthetic: Synthetic | None = None,
    memory: Memory | None = None,
    streams: Mapping[str, Stream] | None = None,
) -> grain.DatasetIterator:
    """Batches without end; each epoch is a new permutation of the split.

    With synthetic images, a memory or few labels no batch is incomplete, and
    permutations of the split follow one another without regard to the epochs.

    The order and the augmentation are those of whole batches, so neither they nor the
    iterator's state depend on the number of processes.

    Args:
      split: the training part.
      data_config: the `data` section.
      batch_size: examples of the whole batch.
      seed: decides the order and the augmentation.
      rows: from the size of a batch to the rows of it that this process reads.
      columns: arrays with a row for each example of the split; their rows join it.
      synthetic: images that make up `data.synthetic_ratio` of each batch.
      memory: examples that make up its share of each batch; not with `synthetic`.
      streams: other examples that join each batch, by name; columns of the stream
        "unlabelled" are `unlabelled_image`, `unlabelled_label` and so on, and have
        the stream's own number of rows. What else is in a batch does not change.
    """
    part: TrainingPart = split
    if synthetic is not None:
        part = mixture.Mixture(split, synthetic)
        counts = mixture.Counts.of(batch_size, data_config.synthetic_ratio)
        indices = mixture.index_batches(part, counts, seed)
    elif memory is not None:
        part = mixture.Mixture(split, memory)
        counts = mixture.Counts.of(batch_size, memory.share)
        indices = mixture.index_batches(part, counts, seed)
    elif few_labels.are_asked_for(data_config):
        indices = order.continuing(
            len(split), batch_size=batch_size, order_seed=seed, seed=seed
        )
    else:
        indices = order.epochs(
            len(split), batch_size=batch_size, seed=seed,
            drop_remainder=data_config.drop_remainder,
        )  # fmt: skip
    view = views.of(data_config)
    batches = indices.random_map(Reader(part, data_config, rows, columns or {}, view))
    for name, stream in (streams or {}).items():
        batches = _joined(batches, _read(name, stream, seed, rows))
    options = grain.ReadOptions(num_threads=data_config.threads, prefetch_buffer_size=8)
    return iter(batches.to_iter_dataset(options))


def separated(batch: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The columns of a batch that a step is given, and those that are withheld."""
    withheld = {name for name in batch if name.startswith(WITHHELD)}
    seen = {name: batch[name] for name in batch if name not in withheld}
    return seen, {name: batch[name] for name in batch if name in withheld}


def _read(name: str, stream: Stream, seed: int, rows: Rows) -> grain.MapDataset[Batch]:
    """A stream's batches. Its seed depends on its name, not on the other streams."""
    sequence = np.random.SeedSequence([seed, *name.encode()])
    order_seed, batch_seed = map(int, sequence.generate_state(2))
    indices = order.continuing(
        len(stream.split), batch_size=stream.batch_size, order_seed=order_seed,
        seed=batch_seed,
    )  # fmt: skip
    view = stream.view or views.of(stream.data_config)
    reader = Reader(stream.split, stream.data_config, rows, view=view)

    def named(batch: Batch) -> Batch:
        joined = {f"{name}_{column}": array for column, array in batch.items()}
        labels = joined.pop(f"{name}_label")
        if stream.labelled:
            joined[f"{name}_label"] = labels
        if stream.withheld:
            joined[f"{WITHHELD}{name}_label"] = labels
        return joined

    return indices.random_map(reader).map(named)


def _joined(
    batches: grain.MapDataset[Batch], others: grain.MapDataset[Batch]
) -> grain.MapDataset[Batch]:
    def join(position: int, batch: Batch) -> Batch:
        added: Any = others[position]
        return batch | added

    return batches.map_with_index(join)


def batch_sizes(split: Split, data_config: DataConfig, batch_size: int) -> list[int]:
    """The sizes of the batches in one pass over the training part.

    With synthetic images there are as many batches as without, all of them whole. With
    few labels there is at least one, and all of them are whole.

    Args:
      split: the training part, of real examples.
      data_config: the `data` section.
      batch_size: examples of a whole batch.

    Raises:
      UserError: the split does not fill one batch, and must.
    """
    if few_labels.are_asked_for(data_config):
        return [batch_size] * max(len(split) // batch_size, 1)
    if batch_size > len(split):
        raise UserError(
            f"batch_size must be at most the {len(split)} training examples, "
            f"got {batch_size}"
        )
    whole, rest = divmod(len(split), batch_size)
    keeps_rest = rest and not data_config.drop_remainder
    last = batch_size if data_config.synthetic else rest
    return [batch_size] * whole + [last] * bool(keeps_rest)


def evaluation_batches(
    split: Split, batch_size: int, examples: np.ndarray, rows: Rows = all_rows
) -> Iterator[tuple[Batch, np.ndarray]]:
    """Some examples in order, the last batch padded to the full size with its last one.

    Args:
      split: the examples.
      batch_size: of all batches.
      examples: `[N]`, positions within the split.
      rows: from the size of a batch to the rows of it that this process reads.

    Yields:
      This process's `rows` of a batch, with their `index` within the split; and a mask
      `[batch_size]` of the whole batch, False where it is padded.
    """
    for start in range(0, len(examples), batch_size):
        places = np.arange(start, start + batch_size)
        mine = examples[np.minimum(places, len(examples) - 1)][rows(batch_size)]
        yield split.take(mine) | {"index": mine}, places < len(examples)
