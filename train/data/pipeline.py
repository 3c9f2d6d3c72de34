"""The input pipeline: shuffled, augmented batches that depend on the seed alone.

Grain permutes indices, not examples: a batch is a gather and a vectorised
augmentation, drawn from a generator of its own, seeded by its position. So the order
can be entered anywhere (its state is one number, which checkpoints keep), and neither
threads nor restarts change it.
"""

from collections.abc import Iterator

import grain
import numpy as np

from train.data import augment
from train.data.sources import Split
from train.errors import UserError
from train.types import Batch, Config


def training_batches(
    split: Split, config: Config, *, batch_size: int, seed: int
) -> grain.DatasetIterator:
    """Batches without end; each epoch is a new permutation of the split."""

    def read(indices: np.ndarray, rng: np.random.Generator) -> Batch:
        batch = split.take(indices)
        if config.crop_padding:
            batch["image"] = augment.pad_crop(batch["image"], config.crop_padding, rng)
        if config.flip:
            batch["image"] = augment.flip(batch["image"], rng)
        return batch

    indices = grain.MapDataset.range(len(split)).seed(seed).shuffle()
    batches = indices.batch(batch_size, drop_remainder=config.drop_remainder).repeat()
    options = grain.ReadOptions(num_threads=config.threads, prefetch_buffer_size=8)
    return iter(batches.random_map(read).to_iter_dataset(options))


def batch_sizes(split: Split, config: Config) -> list[int]:
    """The sizes of an epoch's batches.

    Args:
      split: the training part.
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
    return [batch_size] * whole + [rest] * bool(keeps_rest)


def evaluation_batches(split: Split, batch_size: int, limit: int) -> Iterator[Batch]:
    """The first `limit` examples in order, the last batch padded to the full size.

    Adds `index`, the position within the split, and `valid`, False where padded.
    """
    for start in range(0, limit, batch_size):
        index = np.arange(start, start + batch_size)
        valid = index < limit
        batch = split.take(np.minimum(index, limit - 1))
        yield batch | {"index": index, "valid": valid}
