"""Every command in the README and the docs is one that its program takes.

Commands of `train` go through the real parsers with their configs, and are not run.
"""

import importlib
import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tomllib

import pytest

from configs import base
from tests.conftest import ROOT
from tests.support.commands import environment
from train.cli import command
from train.search import cells, config_file

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(
    r"^( *)```(?:sh|bash|console|text)\b[^\n]*\n(.*?)^\1```", re.M | re.S
)
ELLIPSIS = "..."  # stands for the rest of a command that is shown elsewhere
CHECKOUT = "~/ikl_jax/"  # where a page supposes the reader's copy
SEARCHED = "runs/tune/best.py"  # a config that train.tune has written
# Files, and fields of results, that are called as a section of the config is.
NO_FIELDS = {
    "evaluation.json",
    "model.jax_export",
    "continual.tasks",
    "continual.class_incremental",
    "continual.task_incremental",
}
ASSIGNMENT = re.compile(r"^\w+=\S*$")


def lines_of(text):
    """The commands of a page's shell blocks, one each, without comments."""
    for _, block in FENCE.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            yield shlex.split(line.removeprefix("$ "), comments=True)


def without_assignments(words):
    while words and ASSIGNMENT.match(words[0]):
        words = words[1:]
    return words


def documented():
    """(page, words) of each command that starts one of the project's programs."""
    for page in PAGES:
        for words in lines_of(page.read_text()):
            words = without_assignments(words)
            known = words[:1] in (["python"], ["make"], ["pip"])
            if known and words[-1] != ELLIPSIS:
                yield page.name, tuple(words)


COMMANDS = sorted(set(documented()))


def of(*start):
    chosen = [each for each in COMMANDS if each[1][: len(start)] == start]
    assert chosen, start
    return [
        pytest.param(words, id=f"{page}: {' '.join(words)[:90]}")
        for page, words in chosen
    ]


def scripts():
    """The commands that start a file, such as a benchmark."""
    return [each for each in of("python") if each.values[0][1].endswith(".py")]


def test_commands_are_found():
    assert len(COMMANDS) > 100


@pytest.mark.parametrize("words", of("python", "-m"))
def test_flags_and_configs_are_those_of_the_program(
    words, monkeypatch, capsys, tmp_path
):
    best = tmp_path / "best.py"
    config_file.write(best, "A config.", cells.fields_of(base.get_config()), {})
    module, arguments = (
        words[2],
        [word.replace(CHECKOUT, "").replace(SEARCHED, str(best)) for word in words[3:]],
    )
    if module.startswith("examples"):
        example = importlib.import_module(f"{module}.__main__")
        for name in ("teacher", "student"):
            monkeypatch.setattr(example, name, lambda folder, **given: {})
        example.main(arguments)
        return
    if not module.startswith("train"):
        assert importlib.util.find_spec(module), module
        return
    monkeypatch.setattr(command, "_call", lambda command, values: 0)
    monkeypatch.chdir(ROOT)
    main = importlib.import_module("train.cli" if module == "train" else module).main
    assert main([module, *arguments]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("words", scripts())
def test_scripts_know_their_flags(words):
    source = (ROOT / words[1]).read_text()
    for word in words[2:]:
        if word.startswith("--"):
            assert f'"{word.partition("=")[0]}"' in source, (words[1], word)


def test_targets_of_make_exist():
    makefile = (ROOT / "Makefile").read_text()
    for page, words in COMMANDS:
        if words[0] == "make":
            for target in words[1:]:
                if "=" not in target:
                    assert re.search(rf"^{target}:", makefile, re.M), (page, target)


def test_extras_of_pip_exist():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for page, words in COMMANDS:
        for extras in re.findall(r"\.\[([\w,-]+)\]", " ".join(words)):
            for extra in extras.split(","):
                assert extra in project["optional-dependencies"], (page, extra)


def test_fields_of_configs_exist():
    """`loss.alpha` and `--config.loss.alpha=4` are fields of the base config."""
    config = base.get_config()
    sections = [name for name, value in config.items() if hasattr(value, "items")]
    field = re.compile(rf"(?:`|--config\.)((?:{'|'.join(sections)})\.[a-z_]+)\b")
    found = {
        (page.name, name)
        for page in PAGES
        for name in field.findall(page.read_text())
        if name not in NO_FIELDS
    }
    assert len(found) > 100
    for page, name in sorted(found):
        section, _, key = name.partition(".")
        assert key in config[section], f"{page}: {name}"


PYTHON = re.compile(r"^ *```python\b[^\n]*\n(.*?)^ *```", re.M | re.S)
IMPORT = re.compile(
    r"^(?:>>> )?from ((?:ikl_jax|train|configs)[\w.]*) import ([\w, ]+)$", re.M
)
# Shows files that the reader writes.
TO_BE_WRITTEN = ROOT / "docs" / "extending.md"


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page != TO_BE_WRITTEN], ids=lambda p: p.name
)
def test_what_programs_import_is_there(page):
    for block in PYTHON.findall(page.read_text()):
        for module, names in IMPORT.findall(block):
            for name in names.split(","):
                found = importlib.import_module(module)
                if not hasattr(found, name.strip()):
                    importlib.import_module(f"{module}.{name.strip()}")


STARTED = ROOT / "docs" / "getting_started.md"


@pytest.mark.long
def test_the_program_of_getting_started_says_what_the_page_says(tmp_path):
    blocks = re.findall(
        r"^```python[^\n]*\n(.*?)^```", STARTED.read_text(), re.M | re.S
    )
    program = tmp_path / "robust_digits.py"
    program.write_text("\n".join(blocks))
    done = started(program)
    natural, *stages = re.findall(r"([\d.]+)%", done.stdout)
    shown = re.search(r"It prints ([\d.]+) %", STARTED.read_text())
    assert shown is not None
    assert abs(float(natural) - float(shown[1])) < 3  # rounding differs between CPUs
    assert len(stages) == 5
    assert 50 < float(stages[-1]) <= float(natural)


@pytest.mark.long
def test_the_commands_of_getting_started_run(tmp_path):
    commands = [words for page, words in documented() if page == STARTED.name]
    trained = [words for words in commands if words[:2] == ("python", "-m")]
    assert len(trained) == 3
    for words in trained:
        started(*[word.replace("runs/", f"{tmp_path}/") for word in words[1:]])
    assert (tmp_path / "first" / "evaluation.json").exists()


def started(*arguments):
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=ROOT,
        env=environment() | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done
