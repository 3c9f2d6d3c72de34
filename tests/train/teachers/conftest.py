"""One teacher, trained once."""

import pytest

from tests.support.shared import made_once
from train import cli

CONFIG = "configs/digits_distill.py"
# Three steps and no attack: what it has learned is nothing that a quick test looks at.
BRIEF = ("--config.batch_size=472", "--config.evaluation.restarts=0")


@pytest.fixture(scope="session")
def teacher(tmp_path_factory):
    def make(folder):
        given = (f"--config={CONFIG}:teacher,quick", f"--workdir={folder}", *BRIEF)
        assert cli.main(["train", *given]) == 0

    return made_once(tmp_path_factory, "teacher", make)
