"""Relative paths of a run's config are relative to where it was trained."""

import pytest

from configs import base
from train.experiment import settings


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """The workdir of a run that was trained in the directory `there`."""
    (tmp_path / "there").mkdir()
    (tmp_path / "here").mkdir()

    def make(source):
        monkeypatch.chdir(tmp_path / "there")
        config = base.get_config()
        config.data.source = source
        config.data.train_list = "lists/a.txt"
        config.data.data_dir = "~/tfds"
        settings.claim(tmp_path / "run", config)
        monkeypatch.chdir(tmp_path / "here")
        return tmp_path / "run"

    return make


def located(workdir):
    return settings.located(settings.load(workdir), workdir).data


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("npz:data/x.npz", "npz:{}/data/x.npz"),
        ("idx:.", "idx:{}/."),
        ("npz:gs://bucket/x.npz", "npz:gs://bucket/x.npz"),
        ("folder:/data/x", "folder:/data/x"),
        ("tfds:cifar10", "tfds:cifar10"),
        ("digits", "digits"),
    ],
)
def test_a_run_is_opened_from_another_directory(trained, tmp_path, source, expected):
    workdir = trained(source)
    data = located(workdir)
    assert data.source == expected.format(tmp_path / "there")
    assert data.train_list == f"{tmp_path}/there/lists/a.txt"
    assert data.data_dir == "~/tfds"
    assert settings.load(workdir).data.source == source  # as the user gave it


def test_in_the_same_directory_nothing_changes(trained, tmp_path, monkeypatch):
    workdir = trained("npz:x.npz")
    monkeypatch.chdir(tmp_path / "there")
    assert located(workdir).source == "npz:x.npz"
    settings.claim(workdir, settings.load(workdir))  # it is the same config


def test_where_the_directory_is_gone_paths_are_relative_to_the_current_one(
    trained, tmp_path
):
    workdir = trained("npz:x.npz")
    (tmp_path / "there").rename(tmp_path / "moved")
    assert located(workdir).source == "npz:x.npz"


def test_runs_of_earlier_versions_name_no_directory(trained):
    workdir = trained("npz:x.npz")
    path = workdir / "config.json"
    path.write_text(settings.to_json(settings.load(workdir)))
    assert settings.DIRECTORY not in path.read_text()
    assert located(workdir).source == "npz:x.npz"
