"""A trained run that the tests of commands share."""

import pytest

from tests.support.commands import train
from tests.support.shared import made_once


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    make = lambda folder: train(folder, config="configs/digits_ikl_at.py:natural,quick")
    return made_once(tmp_path_factory, "natural", make)


@pytest.fixture
def workdir(trained, tmp_path):
    """The run, in a folder that the test may add to."""
    folder = tmp_path / "run"
    folder.mkdir()
    for path in trained.iterdir():
        (folder / path.name).symlink_to(path)
    return folder
