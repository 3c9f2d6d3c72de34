"""Conversions of synthetic images that go on where they were stopped."""

import shutil
import subprocess
import time

import pytest

from tests.conftest import ROOT
from tests.support.commands import command, environment
from tests.support.parts import (
    arguments,
    convert,
    converted,
    examples,
    fails,
    shards_of,
    write_part,
    write_parts,
)
from train.base.errors import UserError
from train.data.formats.shards import open_shards


@pytest.mark.long
def test_a_killed_conversion_goes_on(tmp_path, capsys):
    write_parts(tmp_path / "parts", (12_000, 3_000))
    given = dict(parts=tmp_path / "parts" / "*.npz", examples_per_shard=300)
    assert convert(output=tmp_path / "whole", **given) == 0
    killed = tmp_path / "killed"
    process = subprocess.Popen(
        command(*arguments(output=killed, **given), module="train.convert_synthetic"),
        cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not killed.is_dir() or len(shards_of(killed)) < 5:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.kill()
    process.wait()
    done = len(shards_of(killed))
    assert 5 <= done < 50
    with pytest.raises(UserError, match=f"lacks {50 - done} of its 50 shards, first"):
        open_shards(str(killed))
    capsys.readouterr()
    assert convert(output=killed, **given) == 0
    assert f"{50 - done} were written now" in capsys.readouterr().out
    assert shards_of(killed) == shards_of(tmp_path / "whole")
    assert {p.name for p in killed.iterdir()} == {*shards_of(killed), "metadata.json"}


def test_shards_missing_anywhere_are_written_again(tmp_path):
    converted(tmp_path)
    folder = tmp_path / "shards"
    whole = shards_of(folder)
    for number in (0, 2, 3, 6):
        (folder / f"synthetic-{number:05d}-of-00007.array_record").unlink()
    assert convert(tmp_path / "parts" / "*.npz", folder) == 0
    assert shards_of(folder) == whole


def unfinished(folder):
    """A conversion that lacks its last shard, with its parts."""
    converted(folder)
    max((folder / "shards").glob("*.array_record")).unlink()
    return folder / "parts", folder / "shards"


def test_going_on_with_other_parts_is_refused(tmp_path, capsys):
    parts, output = unfinished(tmp_path)
    before = shards_of(output)

    def refused(given=parts / "*.npz", **flags):
        error = fails(capsys, given, output, **flags)
        assert "was begun with" in error
        assert "Name another folder, or delete this one" in error
        assert shards_of(output) == before
        return error

    assert "--num_classes=10, got 11" in refused(num_classes=11)
    assert "--examples_per_shard=400, got 401" in refused(examples_per_shard=401)
    assert "name 2.npz, bytes" in refused(f"{parts / '0.npz'},{parts / '1.npz'}")
    images, labels = examples(300, seed=2)
    images[7, 0, 0, 0] ^= 1  # the same name, number and size
    write_part(parts / "2.npz", images, labels)
    error = refused()
    assert error.count("name 2.npz") == 2
    # The same content at another place, under its own name, is the same part.
    shutil.copytree(parts, tmp_path / "moved")
    write_part(tmp_path / "moved" / "2.npz", *examples(300, seed=2))
    assert convert(tmp_path / "moved" / "*.npz", output) == 0
