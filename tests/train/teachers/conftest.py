"""One teacher, trained once."""

import pytest

from tests.support.commands import train

CONFIG = "configs/digits_distill.py"


@pytest.fixture(scope="session")
def teacher(tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher") / "run"
    train(folder, config=f"{CONFIG}:teacher,quick")
    return folder
