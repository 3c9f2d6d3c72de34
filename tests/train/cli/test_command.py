"""Exit codes, and errors that are one line."""

import pytest

from train.base.errors import UserError
from train.cli import command


@pytest.mark.parametrize(
    "error", [UserError("two\nlines,  or\n  three"), OSError("two\nlines, or three")]
)
def test_an_error_of_several_lines_is_printed_as_one(error, capsys):
    def call(values):
        raise error

    code = command.run(["train"], define=lambda values, argv: None, call=call)
    assert code == command.FAILED
    assert capsys.readouterr().err == "error: two lines, or three\n"
