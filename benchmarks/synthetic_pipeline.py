"""Measures the pipeline that mixes synthetic images, beside what training would read.

    python benchmarks/synthetic_pipeline.py
    python benchmarks/synthetic_pipeline.py --images 1000000 --threads 4

Generates a part in the public format in a temporary folder (6 KB of disk an image; use
thousands of images) and converts it. Then reads batches of 512 with crop and flip:
first of real images in memory, then with 358 synthetic rows in each batch. The shards
are in the page cache. 50 million images do not fit there, so then the disk has to
deliver 3.1 KB for each synthetic image, in random order.

The number of examples that a WRN-28-10 reads on eight GPUs is an estimate:
- A forward pass of one 32 x 32 image takes 5.2 GMAC, that is 10.4 GFLOP.
- A backward pass costs two forward passes. So ten PGD steps cost 30, and the forward
  and backward passes of the natural and the adversarial image cost 6: 36 in all.
- These are 374 GFLOP an example. At 400 TFLOP/s, 40 % of the 989 that an H100 has in
  bfloat16, a GPU reads 1,070 examples/s, and eight read 8,500. Slower GPUs and float32
  read fewer.
"""

import argparse
import pathlib
import sys
import tempfile
import time
from collections.abc import Iterator

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

import numpy as np

from configs import base
from tests.support.parts import SHAPE, write_large_part
from train import convert_synthetic
from train.base.types import Batch
from train.data import pipeline
from train.data.formats import shards
from train.data.splits import InMemory

BATCH_SIZE = 512
FORWARD = 2 * 5.2e9  # FLOP an example
FORWARD_PASSES = 36
GPU, GPUS = 400e12, 8  # FLOP/s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batches", type=int, default=200)
    arguments = parser.parse_args()
    config = base.get_config().data
    config.threads, config.crop_padding, config.flip = arguments.threads, 4, True
    real = InMemory(np.zeros((50_000, *SHAPE), np.uint8), np.zeros(50_000, np.int32))
    with tempfile.TemporaryDirectory() as folder:
        images = _converted(pathlib.Path(folder), arguments.images)
        for name, mixed_in in (("real in memory", None), ("mixed", images)):
            batches = pipeline.training_batches(
                real, config, batch_size=BATCH_SIZE, seed=0, synthetic=mixed_in
            )
            _measure(name, batches, arguments.batches)
    needed = GPU / (FORWARD * FORWARD_PASSES) * GPUS
    print(
        f"a WRN-28-10 on {GPUS} GPUs would read {needed:,.0f} examples/s: "
        f"{GPU / 1e12:.0f} TFLOP/s a GPU, {FORWARD_PASSES} forward passes of "
        f"{FORWARD / 1e9:.1f} GFLOP an example (an estimate)"
    )


def _converted(folder: pathlib.Path, count: int) -> shards.Shards:
    write_large_part(folder / "part.npz", count)
    start = time.perf_counter()
    code = convert_synthetic.main(
        ["convert", f"--parts={folder / 'part.npz'}", f"--output={folder / 'shards'}"]
    )
    if code:
        sys.exit(code)
    print(f"conversion: {count / (time.perf_counter() - start):,.0f} images/s")
    return shards.open_shards(str(folder / "shards"))


def _measure(name: str, batches: Iterator[Batch], count: int) -> None:
    for _ in range(20):  # not timed: batches that were prefetched
        next(batches)
    start, cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        next(batches)
    examples = count * BATCH_SIZE
    rate = examples / (time.perf_counter() - start)
    each = 1e6 * (time.process_time() - cpu) / examples
    print(f"{name}: {rate:,.0f} examples/s, {each:.0f} us of a core an example")


if __name__ == "__main__":
    main()
