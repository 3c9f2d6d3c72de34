"""What a config file raises while it is loaded reaches the user as one sentence."""

import sys

import pytest

from tests.support.commands import DIGITS
from train import cli, evaluate

FILES = {
    "a wrong value": (
        "def get_config(argument=''):\n    raise ValueError('size must be 1')",
        "size must be 1",
    ),
    "a bug": (
        "def get_config(argument=''):\n    return {}['sise']",
        "KeyError: 'sise' ({path}, line 2)",
    ),
    "an import": ("import nowhere", "No module named 'nowhere' ({path}, line 1)"),
    "a syntax error": ("def get_config(", "'(' was never closed (config.py, line 1)"),
    "any error": ("raise RuntimeError('x')", "RuntimeError: x ({path}, line 1)"),
    "no function": ("", "has no attribute 'get_config'"),
    "no argument": (
        "def get_config():\n    return None", "takes 0 positional arguments but 1 was",
    ),
    "nothing": ("def get_config(argument=''):\n    pass", "get_config returns nothing"),
    "a file that it reads": (
        "def get_config(argument=''):\n    open('/nowhere/list.txt')",
        "No such file or directory: '/nowhere/list.txt'",
    ),
}  # fmt: skip


def one_sentence(capsys, code):
    error = capsys.readouterr().err
    assert code == 2
    assert error.startswith("error: cannot load --config=")
    assert error.count("\n") == 1
    assert "Traceback" not in error
    return error


@pytest.mark.parametrize("name", FILES)
def test_errors_in_the_file(name, tmp_path, capsys, monkeypatch):
    monkeypatch.delitem(sys.modules, "config_config", raising=False)  # of another file
    content, message = FILES[name]
    path = tmp_path / "config.py"
    path.write_text(content)
    code = cli.main(["train", f"--config={path}:option", f"--workdir={tmp_path}"])
    assert message.format(path=path) in one_sentence(capsys, code)


UNKNOWN = f"{DIGITS}:quikc"
COMMANDS = {
    "train": (cli.main, "--workdir=x"),
    "a plan": (cli.main, "--plan"),
    "evaluate": (evaluate.main, "--workdir=x"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_an_unknown_option_in_each_command(name, capsys):
    main, argument = COMMANDS[name]
    code = main(["command", f"--config={UNKNOWN}", argument])
    assert one_sentence(capsys, code) == (
        f"error: cannot load --config={UNKNOWN}: unknown config argument 'quikc'; "
        "known: natural, validation, quick\n"
    )


@pytest.mark.parametrize("path", ["configs/none.py", "configs", ""])
def test_a_file_that_is_not_there(path, capsys):
    code = cli.main(["train", f"--config={path}", "--workdir=x"])
    assert path in one_sentence(capsys, code)


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--config.nope=1", "the config has no field nope"),
        ("--config.nope.x=1", "the config has no field nope.x"),
        ("--config.seed.x=1", "the config has no field seed.x; did you mean seed?"),
        (
            "--config.model.nam=cnn",
            "the config has no field model.nam; did you mean model.name?",
        ),
    ],
)
def test_a_field_that_no_config_has(flag, message, capsys):
    code = cli.main(["train", f"--config={DIGITS}:quick", flag, "--workdir=x"])
    assert code == 2
    assert capsys.readouterr().err == f"error: {message}\n"
