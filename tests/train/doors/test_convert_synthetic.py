"""Shards of synthetic images: what the parts hold, and what is refused."""

import json
import shutil
import subprocess
import sys
import time
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.support.commands import environment
from tests.support.parts import (
    SHAPE,
    convert,
    converted,
    examples,
    fails,
    shards_of,
    write_large_part,
    write_part,
    write_parts,
)
from train import convert_synthetic
from train.data.formats import npz_parts
from train.data.formats.shards import open_shards


def test_the_content_is_that_of_the_parts_in_order(tmp_path, capsys):
    """Plain and compressed parts; shards and blocks end where no part does."""
    found, images, labels = converted(tmp_path)
    assert "2,500 images (32, 32, 3) of 10 classes in 7 shards" in (
        capsys.readouterr().out
    )
    order = np.random.default_rng(0).permutation(2500)
    batch = found.take(order)
    np.testing.assert_array_equal(batch["image"], images[order])
    np.testing.assert_array_equal(batch["label"], labels[order])
    assert (batch["image"].dtype, batch["label"].dtype) == (np.uint8, np.int32)
    assert len(found) == 2500
    assert len(found.take(np.array([], np.int64))["label"]) == 0
    assert not [path for path in (tmp_path / "shards").iterdir() if "tmp" in path.name]


@pytest.mark.parametrize("type_", ["<i8", "u1", ">i4", "<i2"])
def test_types_of_labels(tmp_path, type_):
    images, labels = examples(50)
    write_part(tmp_path / "part.npz", images, labels.astype(type_))
    assert convert(tmp_path / "part.npz", tmp_path / "shards") == 0
    batch = open_shards(str(tmp_path / "shards")).take(np.arange(50))
    np.testing.assert_array_equal(batch["label"], labels)


def test_a_list_of_parts_keeps_its_order(tmp_path):
    images, _ = write_parts(tmp_path, (20, 30))
    listed = f"{tmp_path / '1.npz'},{tmp_path / '0.npz'}"
    assert convert(listed, tmp_path / "shards") == 0
    batch = open_shards(str(tmp_path / "shards")).take(np.arange(50))
    np.testing.assert_array_equal(batch["image"], np.roll(images, -20, axis=0))


def broken(name, path):
    """A part with something wrong, and what is said of it."""
    images, labels = examples(40)
    if name == "labels missing":
        np.savez(path, image=images)
        return "lacks label; it holds image"
    if name == "other names":
        np.savez(path, x=images, y=labels)
        return "lacks image and label; it holds x, y"
    if name == "no npz":
        path.write_bytes(b"none")
        return "cannot be read: File is not a zip file"
    if name == "truncated":
        write_part(path, images, labels)
        path.write_bytes(path.read_bytes()[:5000])
        return "cannot be read"
    if name == "pickle":
        np.savez(path, image=images, label=labels.astype(object))
        return "label must be integers [N], got object (40,)"
    if name == "longer":
        write_part(path, images, labels)
        with zipfile.ZipFile(path) as archive:
            content = {entry: archive.read(entry) for entry in archive.namelist()}
        with zipfile.ZipFile(path, "w") as archive:
            for entry, its in content.items():
                archive.writestr(entry, its + b"123" * (entry == "image.npy"))
        return "image has 3 and label 0 bytes more than their headers say"
    if name == "fortran":
        write_part(path, np.asfortranarray(images), labels)
        return "must be in C order"
    wrong = {
        "flat": (images.reshape(40, -1), labels, "uint8 [N, H, W, K], got uint8 (40, 3072)"),
        "floats": (images / 255, labels, "uint8 [N, H, W, K], got float64 (40, 32, 32, 3)"),
        "one-hot": (images, np.eye(10)[labels], "integers [N], got float64 (40, 10)"),
        "fewer labels": (images, labels[:39], "40 images but 39 labels"),
        "empty": (images[:0], labels[:0], "there are no images"),
        "label": (images, labels + 1, "labels must lie in [0, 10) (--num_classes), got 10"),
        "negative label": (images, labels - 1, "must lie in [0, 10) (--num_classes), got -1"),
        "other shape": (images[:, :16], labels, "are (16, 32, 3), but those of"),
    }  # fmt: skip
    images, labels, message = wrong[name]
    write_part(path, images, labels)
    return message


@pytest.mark.parametrize(
    "name",
    [
        "labels missing", "other names", "no npz", "truncated", "pickle", "fortran", "longer",
        "flat", "floats", "one-hot", "fewer labels", "empty", "label", "negative label",
        "other shape",
    ],
)  # fmt: skip
def test_bad_parts(tmp_path, capsys, name):
    """Refused by name before anything is written, though a good part comes first."""
    parts = tmp_path / "parts"
    write_parts(parts, (30,))
    message = broken(name, parts / "1.npz")
    error = fails(capsys, parts / "*.npz", tmp_path / "shards")
    assert message in error
    assert "1.npz" in error
    assert not (tmp_path / "shards").exists()


def test_bad_command_lines(tmp_path, capsys, monkeypatch):
    write_parts(tmp_path / "parts", (30,))
    part, output = tmp_path / "parts" / "0.npz", tmp_path / "shards"
    assert "there is no file '/nowhere/*.npz'" in fails(
        capsys, "/nowhere/*.npz", output
    )
    assert "--parts must name .npz files" in fails(capsys, ",", output)
    assert "more than once" in fails(capsys, f"{part},{part}", output)
    assert "--num_classes must be > 0, got 0" in fails(
        capsys, part, output, num_classes=0
    )
    assert "--examples_per_shard must be > 0, got -1" in fails(
        capsys, part, output, examples_per_shard=-1
    )
    assert "a folder of its own" in fails(capsys, part, tmp_path)
    assert convert_synthetic.main(["convert", f"--parts={part}"]) == 2
    assert "--output is required" in capsys.readouterr().err
    monkeypatch.setattr(
        convert_synthetic.shutil, "disk_usage", lambda _: SimpleNamespace(free=0)
    )
    assert "needs 0.0 GB more, but 0.0 GB are free" in fails(capsys, part, output)
    assert not shards_of(output)


def test_memory_is_a_block_of_rows(tmp_path, monkeypatch):
    """No read of an image array is larger, compressed or not."""
    write_parts(tmp_path / "parts", (3000, 3000))
    largest = 0
    read = zipfile.ZipExtFile.read

    def measured(self, n=-1):
        nonlocal largest
        content = read(self, n)
        largest = max(largest, len(content))
        return content

    monkeypatch.setattr(zipfile.ZipExtFile, "read", measured)
    assert convert(tmp_path / "parts" / "*.npz", tmp_path / "shards") == 0
    assert largest == npz_parts.BLOCK * np.prod(SHAPE)


@pytest.mark.slow
def test_a_million_images_in_bounded_memory(tmp_path, capsys):
    """3.1 GB in one part; the command's peak stays below 400 MB."""
    count = 1_000_000
    part, output = tmp_path / "1m.npz", tmp_path / "shards"
    if shutil.disk_usage(tmp_path).free < 8e9:
        pytest.skip("needs 8 GB of disk")
    write_large_part(part, count)
    # Not getrusage's peak, which begins with that of the process that starts this one.
    program = (
        "import sys; from train import convert_synthetic; "
        "code = convert_synthetic.main(); "
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]); "
        "sys.exit(code)"
    )
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program, f"--parts={part}", f"--output={output}"],
        cwd=ROOT, env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    seconds = time.monotonic() - start
    peak = int(done.stdout.splitlines()[-1]) / 1e3
    with capsys.disabled():
        print(f"\n{done.stdout}peak {peak:.0f} MB, {count / seconds:,.0f} images/s")
    assert part.stat().st_size > 3e9
    assert peak < 400
    metadata = json.loads((output / "metadata.json").read_text())
    assert metadata["count"] == len(open_shards(str(output))) == count
    shutil.rmtree(output)
    part.unlink()
