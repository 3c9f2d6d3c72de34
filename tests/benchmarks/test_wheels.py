"""Wheels that travel to a machine without a network."""

import importlib
import sys
import zipfile

import pytest

from benchmarks.support import wheels

RECORD = "planted_here-1.0.dist-info/RECORD"


def write_wheel(folder, name="planted_here", examples=b"0" * 5000):
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}/__init__.py", "answer = 42\n")
        archive.writestr(f"{name}/examples/weights.bin", examples)
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(f"{info}/RECORD", "")
    return path


@pytest.mark.long
def test_a_wheel_without_its_examples_installs(tmp_path, monkeypatch):
    wheel = write_wheel(tmp_path)
    before = wheel.stat().st_size
    wheels.leave_out(wheel, "planted_here/examples/")
    assert wheel.stat().st_size < before - 4000
    with zipfile.ZipFile(wheel) as archive:
        record = archive.read(RECORD).decode()
    assert "planted_here/__init__.py,sha256=" in record
    assert "examples" not in record
    wheels.install(wheels.missing(tmp_path), tmp_path / "target")
    monkeypatch.syspath_prepend(tmp_path / "target")
    assert importlib.import_module("planted_here").answer == 42
    del sys.modules["planted_here"]
    assert not (tmp_path / "target" / "planted_here" / "examples").exists()


def test_only_what_is_missing_is_installed(tmp_path):
    there = write_wheel(tmp_path, name="ml_collections")
    lacking = write_wheel(tmp_path)
    assert there.exists()
    assert wheels.missing(tmp_path) == [lacking]


@pytest.mark.long
def test_what_cannot_be_installed_is_said(tmp_path):
    (tmp_path / "planted_here-1.0-py3-none-any.whl").write_bytes(b"no archive")
    with pytest.raises(RuntimeError, match="the wheels could not be installed: ERROR"):
        wheels.install(wheels.missing(tmp_path), tmp_path / "target")
