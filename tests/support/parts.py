"""Generated parts of the public format, and their conversion."""

import zipfile

import numpy as np

from train import convert_synthetic
from train.data.formats.shards import open_shards

SHAPE = (32, 32, 3)


def examples(count, *, seed=0, shape=SHAPE, num_classes=10):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, *shape), np.uint8)
    return images, rng.integers(0, num_classes, count)


def write_part(path, images, labels, *, compressed=False):
    (np.savez_compressed if compressed else np.savez)(path, image=images, label=labels)
    return path


def write_parts(folder, counts=(700, 1500, 300), **options):
    """`0.npz`, `1.npz`, ...; the odd ones compressed. All images and labels."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = [examples(count, seed=i, **options) for i, count in enumerate(counts)]
    for i, part in enumerate(parts):
        write_part(folder / f"{i}.npz", *part, compressed=i % 2 == 1)
    images, labels = zip(*parts, strict=True)
    return np.concatenate(images), np.concatenate(labels)


def write_large_part(path, count, block=1000):
    """Block by block, as `np.savez` would write it."""
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        for name, type_, shape in (("image", "|u1", SHAPE), ("label", "<i8", ())):
            header = {"descr": type_, "fortran_order": False, "shape": (count, *shape)}
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array_header_1_0(file, header)
                for _ in range(count // block):
                    rows = rng.integers(0, 10, (block, *shape)).astype(type_)
                    file.write(rows.tobytes())


def arguments(parts, output, **flags):
    given = {"parts": parts, "output": output, "examples_per_shard": 400} | flags
    return [f"--{name}={value}" for name, value in given.items()]


def convert(parts, output, **flags):
    """The exit code of the command."""
    return convert_synthetic.main(["convert", *arguments(parts, output, **flags)])


def converted(folder, counts=(700, 1500, 300), **options):
    """A folder of shards, opened, with all images and labels."""
    images, labels = write_parts(folder / "parts", counts, **options)
    assert convert(folder / "parts" / "*.npz", folder / "shards") == 0
    return open_shards(str(folder / "shards")), images, labels


def shards_of(folder):
    """The content of each shard."""
    return {path.name: path.read_bytes() for path in folder.glob("*.array_record")}


def fails(capsys, parts, output, **flags):
    """The one sentence that a conversion fails with."""
    assert convert(parts, output, **flags) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    return error
