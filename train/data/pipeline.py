"""The input pipeline: shuffled, augmented batches that depend on the seed alone.

Grain permutes indices, not examples: a batch is a gather and a vectorised
augmentation, drawn from a generator of its own, seeded by its position. So the order
can be entered anywhere (its state is one number, which checkpoints keep), and neither
threads nor restarts change it.
"""

from collections.abc import Callable, Iterator, Mapping

import grain
import numpy as np

from train.base.config import Config, DataConfig
from train.base.errors import UserError
from train.base.types import Batch
from train.data import mixture
from train.data.augment import crops, views
from train.data.splits import Split
from train.data.synthetic import Synthetic

Rows = Callable[[int], np.ndarray]  # of a batch of a size, those of one process


def all_rows(size: int) -> np.ndarray:
    return np.arange(size)


def training_batches(
    split: Split,
    config: DataConfig,
    *,
    batch_size: int,
    seed: int,
    rows: Rows = all_rows,
    columns: Mapping[str, np.ndarray] | None = None,
    synthetic: Synthetic | None = None,
) -> grain.DatasetIterator:
    """Batches without end; each epoch is a new permutation of the split.

    `columns` are arrays with a row for each example of the split, which joins it.

    With `synthetic` images each batch is a mixture, in numbers that are always those of
    `config.synthetic_ratio`, and no batch is incomplete. Permutations of the split then
    follow one another without regard to the epochs.

    `rows` says which of a batch of some size this process reads. The order and the
    augmentation are those of the whole batch, so that they do not depend on the number
    of processes, and neither does the iterator's state.
    """

    def taken(indices: np.ndarray, mine: np.ndarray, rng: np.random.Generator) -> Batch:
        boxes = None
        if config.random_resized_crop:
            boxes = crops.random_crops(len(indices), rng)[mine]
        return take_training(indices[mine], boxes)

    def moved(
        images: np.ndarray, count: int, mine: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        if padding := config.crop_padding:
            shifts = crops.random_shifts(count, padding, rng)[:, mine]
            images = crops.pad_crop(images, padding, shifts)
        if config.flip:
            mirrored = crops.random_mirrors(count, rng)[mine]
            images = crops.flip(images, mirrored)
        return images

    def read(indices: np.ndarray, rng: np.random.Generator) -> Batch:
        count, mine = len(indices), rows(len(indices))
        batch = taken(indices, mine, rng)
        images = batch["image"]
        batch["image"] = moved(images, count, mine, rng)
        if config.second_view != views.NONE:
            if config.random_resized_crop:  # which is a part of reading
                images = taken(indices, mine, rng)["image"]
            second = moved(images, count, mine, rng)
            drawn = views.draw(config, count, rng).of_rows(mine)
            batch["second_view"] = views.apply(config, second, drawn)
        for name, array in (columns or {}).items():
            batch[name] = array[indices[mine]]
        return batch

    if synthetic is None:
        take_training = split.take_training
        indices = grain.MapDataset.range(len(split)).seed(seed).shuffle()
        batches = indices.batch(batch_size, drop_remainder=config.drop_remainder)
        batches = batches.repeat()
    else:
        mixed = mixture.Mixture(split, synthetic)
        take_training = mixed.take_training
        counts = mixture.Counts.of(batch_size, config.synthetic_ratio)
        batches = mixture.index_batches(mixed, counts, seed)
    options = grain.ReadOptions(num_threads=config.threads, prefetch_buffer_size=8)
    return iter(batches.random_map(read).to_iter_dataset(options))


def batch_sizes(split: Split, config: Config) -> list[int]:
    """The sizes of an epoch's batches.

    With synthetic images there are as many as without them, and all are whole.

    Args:
      split: the training part, of real examples.
      config: of the run, with `batch_size` and `data.drop_remainder`.

    Raises:
      UserError: the split does not fill one batch.
    """
    batch_size = config.batch_size
    if batch_size > len(split):
        raise UserError(
            f"batch_size must be at most the {len(split)} training examples, "
            f"got {batch_size}"
        )
    whole, rest = divmod(len(split), batch_size)
    keeps_rest = rest and not config.data.drop_remainder
    last = batch_size if config.data.synthetic else rest
    return [batch_size] * whole + [last] * bool(keeps_rest)


def evaluation_batches(
    split: Split, batch_size: int, limit: int, rows: Rows = all_rows
) -> Iterator[tuple[Batch, np.ndarray]]:
    """The first `limit` examples in order, the last batch padded to the full size.

    Each comes as this process's `rows`, with their `index` within the split, and as
    `[batch_size]`, False where the whole batch is padded.
    """
    for start in range(0, limit, batch_size):
        index = np.arange(start, start + batch_size)
        mine = index[rows(batch_size)]
        batch = split.take(np.minimum(mine, limit - 1))
        yield batch | {"index": mine}, index < limit
