"""Converts synthetic images from .npz files to shards that training mixes in.

`python -m train.convert_synthetic --parts='/data/1m/*.npz' --output=/data/1m_shards`

The .npz files ("parts": a pattern, or several separated by commas) hold `image` uint8
[N, H, W, K] and `label` integer [N], as the generated sets of Wang et al. (2023) do.
CIFAR-100 needs `--num_classes=100`. Parts are read in blocks of rows, so memory does
not grow with their size. After a kill, the same command continues at the first missing
shard. Then train with `--config.data.synthetic=/data/1m_shards`.
"""

import glob
import itertools
import os
import pathlib
import shutil
import sys
import time
from collections.abc import Iterator, Sequence

from absl import flags
from rich.console import Console

from train import cli
from train.base import files, terminal
from train.base.errors import UserError
from train.base.files import lock
from train.base.progress import ProgressPrinter
from train.data.formats import npz_parts
from train.data.formats.npz_parts import DamagedPart, NpzPart
from train.data.formats.shards import METADATA, Layout, array_record, read_layout

# Uncompressed, with one record a chunk, so that one image is read without the others.
# Chunks of 4 were not faster to read, and compressed ones are slower to write.
WRITING = "group_size:1,uncompressed"
# Bytes of a record besides the image: the label, a chunk's header, an index entry.
RECORD_OVERHEAD = 90
LOCK = ".lock"


def main(argv: Sequence[str] | None = None) -> int:
    required = ("parts", "output")
    return cli.run(
        argv, define=_define, required=required, call=_convert,
        examples=(
            "python -m train.convert_synthetic --parts=/data/cifar100_1m.npz "
            "--output=/data/cifar100_1m --num_classes=100",
        ),
        kept="finished shards stay, and the same command goes on after them",
    )  # fmt: skip


def _define(values: flags.FlagValues, argv: list[str]) -> None:
    for name, text in (
        ("parts", "The .npz files: patterns or names, separated by commas."),
        ("output", "The folder to write, or to continue after a kill."),
    ):
        flags.DEFINE_string(name, None, text, flag_values=values)
    flags.DEFINE_integer(
        "num_classes", 10, "The number of classes.", flag_values=values
    )
    flags.DEFINE_integer(
        "examples_per_shard", 200_000, "Images of a shard, which a kill may lose.",
        flag_values=values,
    )  # fmt: skip


def _convert(values: flags.FlagValues) -> None:
    for name in ("num_classes", "examples_per_shard"):
        if (given := getattr(values, name)) < 1:
            raise UserError(f"--{name} must be > 0, got {given}")
    console = terminal.console(soft_wrap=True, highlight=False)
    folder = files.local(values.output, "--output")
    paths = _paths(values.parts)
    console.print(f"checking the labels of {len(paths)} parts")
    parts = [npz_parts.inspect(path, values.num_classes) for path in paths]
    layout = _layout(parts, values.num_classes, values.examples_per_shard)
    _claim(folder, layout)
    with lock.held(folder / LOCK, folder):
        _convert_missing(folder, parts, layout, console)


def _convert_missing(
    folder: pathlib.Path, parts: Sequence[NpzPart], layout: Layout, console: Console
) -> None:
    missing = [n for n, path in enumerate(layout.shards(folder)) if not path.exists()]
    _check_space(folder, layout, missing)
    start = time.monotonic()
    _write(folder, parts, layout, missing, console)
    console.print(
        f"{folder}: {layout.count:,} images {layout.image_shape} of "
        f"{layout.num_classes} classes in {layout.num_shards} shards, of which "
        f"{len(missing)} were written now, in {time.monotonic() - start:.0f} s. "
        f"Train with --config.data.synthetic={folder}"
    )


def _paths(patterns: str) -> list[pathlib.Path]:
    """The parts in the order of the patterns; those of one pattern sorted by name."""
    paths: list[pathlib.Path] = []
    for pattern in filter(None, patterns.split(",")):
        given = files.local(pattern, "--parts")
        found = [str(given)] if given.exists() else sorted(glob.glob(str(given)))
        if not found:
            raise UserError(f"--parts: there is no file {pattern!r}")
        paths += map(pathlib.Path, found)
    if not paths:
        raise UserError("--parts must name .npz files, got nothing")
    for path in paths:
        if paths.count(path) > 1:
            raise UserError(f"--parts names {str(path)!r} more than once")
    return paths


def _layout(
    parts: Sequence[NpzPart], num_classes: int, examples_per_shard: int
) -> Layout:
    first = parts[0]
    for part in parts:
        if part.image_shape != first.image_shape:
            raise UserError(
                f"--parts: the images of {str(part.path)!r} are {part.image_shape}, "
                f"but those of {str(first.path)!r} are {first.image_shape}"
            )
    count = sum(part.count for part in parts)
    identities = [part.identity for part in parts]
    return Layout(first.image_shape, num_classes, count, examples_per_shard, identities)


def _claim(folder: pathlib.Path, layout: Layout) -> None:
    """Claims a new or empty folder, or checks that its layout is the same.

    Raises:
      UserError: the folder holds other files, or was begun with other flags or parts.
    """
    path = folder / METADATA
    if not path.exists():
        files.claim(folder, "--output", [files.unfinished_name(path.name), LOCK])
        files.write_whole(path, layout.to_json())
        return
    for difference in _differences(read_layout(folder), layout):
        raise UserError(
            f"--output: {folder} was begun with {difference}. Name another folder, or "
            "delete this one"
        )


def _differences(before: Layout, now: Layout) -> Iterator[str]:
    for name in ("num_classes", "examples_per_shard"):
        if (there := getattr(before, name)) != (here := getattr(now, name)):
            yield f"--{name}={there}, got {here}"
    for there, here in itertools.zip_longest(before.parts, now.parts):
        if there != here:
            yield f"other parts: {_named(there)} there, {_named(here)} here"


def _named(identity: dict | None) -> str:
    """What a message says of a part."""
    if identity is None:
        return "none"
    stated = ", ".join(f"{name} {value}" for name, value in identity.items())
    return f"one with {stated}"


def _check_space(folder: pathlib.Path, layout: Layout, missing: Sequence[int]) -> None:
    """Raises `UserError` unless the missing shards fit on the disk."""
    height, width, channels = layout.image_shape
    count = sum(map(layout.size, missing))
    needed = count * (height * width * channels + RECORD_OVERHEAD)
    if needed > (free := shutil.disk_usage(folder).free):
        raise UserError(
            f"--output: {folder} needs {needed / 1e9:.1f} GB more, but "
            f"{free / 1e9:.1f} GB are free there"
        )


def _write(
    folder: pathlib.Path,
    parts: Sequence[NpzPart],
    layout: Layout,
    missing: Sequence[int],
    console: Console,
) -> None:
    """Writes the missing shards, in order.

    Raises:
      UserError: a shard cannot be written, or a part is damaged. Then all shards with
        images of this part are deleted, since nobody knows which of them are wrong.
    """
    total, done = sum(map(layout.size, missing)), itertools.count(1)
    printer = ProgressPrinter(console)
    records, position = iter(()), -1
    try:
        for number in missing:
            if number != position:
                records = npz_parts.records(parts, number * layout.examples_per_shard)
            wanted = itertools.islice(records, layout.size(number))
            counted = _counted(wanted, done, total, printer)
            _write_shard(layout.shard(folder, number), counted)
            position = number + 1
    except DamagedPart as error:
        index, size = parts.index(error.part), layout.examples_per_shard
        start = sum(part.count for part in parts[:index])
        for number in range(start // size, -(-(start + error.part.count) // size)):
            layout.shard(folder, number).unlink(missing_ok=True)
        raise


def _write_shard(path: pathlib.Path, records: Iterator[bytes]) -> None:
    """Writes one shard, whole or not at all."""
    temporary = files.unfinished(path)
    with files.written(path):
        try:
            writer = array_record().ArrayRecordWriter(str(temporary), WRITING)
            for record in records:
                writer.write(record)
            writer.close()
        except RuntimeError as error:  # what it raises when the disk is full
            raise UserError(f"cannot write {path}: {error}") from error
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)


def _counted(
    records: Iterator[bytes],
    done: itertools.count,
    total: int,
    printer: ProgressPrinter,
) -> Iterator[bytes]:
    """Yields the records, and prints progress."""
    for record in records:
        yield record
        count = next(done)
        if count % npz_parts.BLOCK == 0:
            rate = printer.pace.rate(count)
            printer.update(
                count, total, f"{count:,} of {total:,} images  {rate:,.0f} images/s"
            )


if __name__ == "__main__":
    sys.exit(main())
