"""Files that are replaced or grow, on a disk and in a bucket."""

import fsspec
import numpy as np
import pytest
from etils import epath

from tests.support import bucket
from train.base import files
from train.base.errors import UserError
from train.base.files import growing, lock


@pytest.fixture(params=["disk", "bucket"])
def folder(request, tmp_path, monkeypatch):
    if request.param == "disk":
        return tmp_path
    monkeypatch.setattr(lock, "SETTLE", 0.0)
    bucket.empty()
    return epath.Path(f"gs://{bucket.NAME}/run")


def test_a_file_is_replaced_whole_or_not_at_all(folder):
    path = folder / "a.npz"
    for value in (1, 2):
        with files.whole(path) as file:
            np.savez(file, x=np.full(3, value))
    with pytest.raises(ZeroDivisionError), files.whole(path) as file:
        file.write(b"half" * (1 // 0))
    with path.open("rb") as file, np.load(file) as arrays:
        assert arrays["x"].tolist() == [2, 2, 2]


def test_lines_are_there_after_a_sync_and_at_the_end(folder):
    lines = growing.Lines(folder / "log", b"1\n")
    assert (folder / "log").read_text() == "1\n"
    lines.append(b"2\n")
    if not files.is_local(folder):
        assert (folder / "log").read_text() == "1\n"  # not an upload for each line
    lines.sync()
    assert (folder / "log").read_text() == "1\n2\n"
    uploads = len(bucket.WRITES)
    lines.sync()
    assert len(bucket.WRITES) == uploads  # there is nothing new
    lines.append(b"3\n")
    lines.close()
    assert (folder / "log").read_text() == "1\n2\n3\n"


def test_lines_are_uploaded_now_and_then(folder, monkeypatch):
    monkeypatch.setattr(growing, "UPLOAD_EVERY", -1.0)
    lines = growing.Lines(folder / "log")
    lines.append(b"1\n")
    assert (folder / "log").read_text() == "1\n"
    lines.close()


def test_parts_are_stored_one_by_one(folder):
    parts = growing.parts(folder / "journal")
    assert parts.found == []
    parts.append(b"one")
    parts.append(b"")
    parts.close()
    parts = growing.parts(folder / "journal")
    assert parts.found == [b"one", b""]
    parts.append(b"three")
    parts.close()
    parts = growing.parts(folder / "journal")
    assert parts.found == [b"one", b"", b"three"]
    parts.clear()
    parts.append(b"new")
    parts.close()
    parts = growing.parts(folder / "journal")
    assert parts.found == [b"new"]
    parts.close()


def test_parts_after_a_damaged_one_are_forgotten(folder):
    parts = growing.parts(folder / "journal")
    for part in (b"one", b"two", b"three"):
        parts.append(part)
    parts.close()
    if files.is_local(folder):
        content = (folder / "journal").read_bytes().replace(b"two", b"twa")
        (folder / "journal").write_bytes(content)
    else:
        path = folder / "journal" / "00000001"
        path.write_bytes(path.read_bytes().replace(b"two", b"twa"))
    parts = growing.parts(folder / "journal")
    assert parts.found == [b"one"]
    parts.append(b"2")
    parts.close()
    parts = growing.parts(folder / "journal")
    assert parts.found == [b"one", b"2"]
    parts.close()


def test_parts_are_open_in_one_process_alone(folder, monkeypatch):
    monkeypatch.setattr(lock, "BEAT", 0.02)
    parts = growing.parts(folder / "journal")
    with pytest.raises(UserError, match="journal is in use by .*: wait until it ends"):
        growing.parts(folder / "journal")
    parts.append(b"one")
    parts.close()
    parts = growing.parts(folder / "journal")
    assert parts.found == [b"one"]
    parts.close()


def test_a_file_is_moved(folder):
    (folder / "a").write_text("x")
    files.move(folder / "a", files.unused(folder / "b"))
    assert not (folder / "a").exists()
    assert (folder / "b").read_text() == "x"
    assert files.unused(folder / "b").name == "b.1"


def test_a_folder_is_moved(folder):
    for name in ("state/a", "b"):
        (folder / "1" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "1" / name).write_bytes(name.encode())
    (folder / "aside").mkdir()
    files.move(folder / "1", folder / "aside" / "1")
    assert not (folder / "1").exists()
    assert (folder / "aside" / "1" / "state" / "a").read_bytes() == b"state/a"
    assert (folder / "aside" / "1" / "b").read_bytes() == b"b"


def test_lists_of_files_are_not_kept(folder):
    if not files.is_local(folder):
        files.named(str(folder), "--workdir")
        assert not fsspec.filesystem("gcs").dircache.use_listings_cache


def test_a_folder_of_others_is_not_claimed(folder):
    files.claim(folder, "--workdir")
    (folder / "thesis.tex").write_text("mine")
    with pytest.raises(
        UserError, match="folder of its own, got .*, which holds thesis"
    ):
        files.claim(folder, "--workdir", ["a"])
    files.claim(folder, "--workdir", ["thesis"])


def test_a_file_of_a_bucket_is_read_as_a_local_one(folder):
    (folder / "w.pt").write_bytes(b"weights")
    with files.local_copy(folder / "w.pt") as path:
        assert (path.name, path.read_bytes()) == ("w.pt", b"weights")
    with pytest.raises(UserError, match="other.json cannot be read"):
        files.read_json(folder / "other.json")
