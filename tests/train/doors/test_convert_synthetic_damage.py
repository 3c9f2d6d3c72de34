"""Conversions that meet a damaged part or a full disk."""

import zipfile

import pytest

from tests.support.parts import (
    convert,
    examples,
    fails,
    shards_of,
    write_part,
    write_parts,
)
from train import convert_synthetic


def flip_a_byte_of_an_image(path):
    """The zip directory still tells the CRC of what was there."""
    with zipfile.ZipFile(path) as archive:
        offset = archive.getinfo("image.npy").header_offset
    content = bytearray(path.read_bytes())
    content[offset + 5000] ^= 1
    path.write_bytes(content)


def test_a_part_found_damaged_leaves_no_shard_of_it(tmp_path, capsys):
    """It is known at its end alone, when shards of it have been written."""
    parts = tmp_path / "parts"
    write_parts(parts, (900, 2500, 300))
    write_part(parts / "1.npz", *examples(2500, seed=1))
    assert convert(parts / "*.npz", tmp_path / "whole") == 0
    intact = (parts / "1.npz").read_bytes()
    flip_a_byte_of_an_image(parts / "1.npz")
    output = tmp_path / "shards"
    error = fails(capsys, parts / "*.npz", output)
    assert f"{str(parts / '1.npz')!r} is damaged: Bad CRC-32" in error
    assert sorted(shards_of(output)) == [
        f"synthetic-{number:05d}-of-00010.array_record" for number in (0, 1)
    ]
    (parts / "1.npz").write_bytes(intact)
    assert convert(parts / "*.npz", output) == 0
    assert shards_of(output) == shards_of(tmp_path / "whole")
    # Of the shards that are there already, those of other parts alone stay.
    names = sorted(shards_of(output))
    (output / names[8]).unlink()
    flip_a_byte_of_an_image(parts / "1.npz")
    fails(capsys, parts / "*.npz", output)
    assert sorted(shards_of(output)) == [*names[:2], names[9]]


def change_the_checksum(path):
    """Of the images, in the zip directory and before them."""
    with zipfile.ZipFile(path) as archive:
        crc = archive.getinfo("image.npy").CRC.to_bytes(4, "little")
    content = path.read_bytes()
    assert content.count(crc) == 2
    path.write_bytes(content.replace(crc, b"none"))


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("damage", [flip_a_byte_of_an_image, change_the_checksum])
def test_a_part_is_verified_before_its_last_shard(tmp_path, capsys, compressed, damage):
    """Though shards end where it does."""
    images, labels = examples(800)
    images[1:] = 0  # something to compress
    write_part(tmp_path / "part.npz", images, labels, compressed=compressed)
    damage(tmp_path / "part.npz")
    fails(capsys, tmp_path / "part.npz", tmp_path / "shards")
    assert not shards_of(tmp_path / "shards")


def test_a_disk_that_is_full(tmp_path, capsys, monkeypatch):
    class Full:
        def ArrayRecordWriter(self, *_):
            raise RuntimeError("No space left on device")

    write_part(tmp_path / "part.npz", *examples(30))
    monkeypatch.setattr(convert_synthetic, "array_record", Full)
    error = fails(capsys, tmp_path / "part.npz", tmp_path / "shards")
    assert "cannot write" in error
    assert "No space left on device" in error
