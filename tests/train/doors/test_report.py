"""`python -m train.report`: what it writes, and what it refuses."""

import datetime
import json
import os
import shlex
import subprocess
import sys

import pytest
from absl import flags

from tests.conftest import ROOT
from tests.support import pages
from tests.support.pages import Page, finished, write
from train import cli, report
from train.reports.page import reading
from train.reports.page.runs import arranged
from train.reports.page.sections import commands


def run(*arguments):
    return report.main([str(argument) for argument in arguments])


def test_a_page_of_two_runs(tmp_path, capsys):
    output = tmp_path / "page.html"
    folders = [finished(tmp_path / name) for name in "ab"]
    assert run(*folders, f"--output={output}") == 0
    out, err = capsys.readouterr()
    assert (out, err) == (f"report: {output} (0.1 MB)\n", "")
    page = Page(output.read_text()).checked()
    assert str(datetime.datetime.now(datetime.UTC).year) in page.text


def test_a_folder_named_twice_is_shown_once(tmp_path, capsys):
    folder, output = finished(tmp_path / "a"), tmp_path / "page.html"
    assert run(folder, f"{folder}/", f"--output={output}") == 0
    assert "named more than once" in capsys.readouterr().err
    page = Page(output.read_text()).checked()
    assert "named more than once" in page.text
    assert page.text.count("Results of") == 0
    assert len(page.all("img")) == 3 * 8


def test_a_folder_of_runs_stands_for_these(tmp_path):
    for name in ("run_10", "run_9"):
        finished(tmp_path / "runs" / name)
    (tmp_path / "runs" / "other").mkdir()
    output = tmp_path / "page.html"
    assert run(tmp_path / "runs", f"--output={output}") == 0
    page = Page(output.read_text()).checked()
    assert "Two runs of one setting" in page.text
    assert "run_9 and run_10" in page.text


def test_damage_is_said_on_the_terminal_too(tmp_path, capsys):
    folder, output = finished(tmp_path / "a"), tmp_path / "page.html"
    (folder / "result.json").write_text("{")
    assert run(folder, f"--output={output}") == 0
    assert f"warning: {folder}/result.json cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("page.txt", "--output must be a file that ends in .html, got"),
        ("folder.html", "is a folder"),
        ("no/folder/page.html", "cannot write"),
        ("", "--output must be a path"),
    ],
)
def test_an_output_that_cannot_be_written(tmp_path, capsys, output, said):
    (tmp_path / "folder.html").mkdir()
    path = f"{tmp_path}/{output}" if output else ""
    assert run(finished(tmp_path / "a"), f"--output={path}") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_output_without_permission(tmp_path, capsys):
    (tmp_path / "locked").mkdir(mode=0o500)
    folder = finished(tmp_path / "a")
    assert run(folder, f"--output={tmp_path}/locked/page.html") == 1
    assert "cannot write" in capsys.readouterr().err


def test_a_folder_that_is_no_run(tmp_path, capsys):
    assert run(tmp_path, f"--output={tmp_path}/page.html") == 1
    err = capsys.readouterr().err
    assert err.startswith(f"error: {tmp_path} holds no run: there is neither")
    assert not (tmp_path / "page.html").exists()
    assert run() == 2


def config_of(command):
    """The config that the flags of a command make, and its `--workdir`."""
    program, *argv = shlex.split(command.replace("\\\n", " "))[2:]
    assert program == "train"
    values = flags.FlagValues()
    flags.DEFINE_string("workdir", None, "", flag_values=values)
    argv = ["train", *argv]
    cli.define_config(values, argv, None, "")
    values(argv)
    return json.loads(values.config.to_json()), values.workdir


@pytest.mark.parametrize(
    ("config", "changed"),
    [
        ("digits_ikl_at.py", {}),
        ("digits_ikl_at.py:natural", {"seed": 3}),
        (
            "fashion_mnist_at.py:loss=gkl,strength=2",
            {
                "data.source": "idx:/a b", "mesh": [2, 1], "loss.alpha": 2.5,
                "optimizer.milestones": [0.5], "averaging.warmup": False,
            },
        ),
        ("digits_ikl_at.py", {"name": "mine"}),
    ],
)  # fmt: skip
def test_the_command_makes_the_config_again(tmp_path, monkeypatch, config, changed):
    monkeypatch.chdir(ROOT)
    fields, _ = config_of(f"python -m train --config=configs/{config} --workdir=x")
    for field, value in changed.items():
        section, _, name = field.rpartition(".")
        (fields[section] if section else fields)[name] = value
    folder = write(tmp_path / "a b", config=fields)
    (shown,) = arranged([reading.read(folder)])
    command = commands.training(shown, report.defaults)
    assert ("configs/base.py" in command) == ("name" in changed)
    again, workdir = config_of(command)
    assert again | {"name": ""} == fields | {"name": ""}
    assert workdir == str(folder)


def test_the_commands_of_evaluations(tmp_path):
    """Every flag is one of train.evaluate, with the record's value."""
    record = pages.autoattack(num_examples=64, dataset="idx:other")
    measure = pages.measured("calibration", {})
    records = {"a": record, "b": measure}
    page = Page(pages.made(write(tmp_path / "run", records=records)))
    text = page.text.replace("\\\n", " ")
    for flag in (
        "--attack=autoattack", "--version=standard", "--norm=linf", "--epsilon=0.125",
        "--seed=0", "--num_examples=64", "--config.data.source=idx:other",
        "--weights=averaged", "--measure=calibration",
    ):  # fmt: skip
        assert flag in text, flag


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"corrupted_images": "generated, version 1, seed 0"}, ""),
        ({"corrupted_images": "cifar_c of 10 (0123abcd)"}, "cifar_c:FOLDER"),
        ({"corrupted_images": "folder (0123abcd)"}, "folder:FOLDER"),
        ({"baseline": {"name": "AlexNet", "errors": {}}}, "--baseline=alexnet"),
        ({"baseline": {"name": "run", "errors": {}}}, "--baseline=RUN_OR_FILE"),
    ],
)  # fmt: skip
def test_the_command_of_corruptions_says_which_paths_it_lacks(tmp_path, fields, shown):
    (run_,) = arranged([reading.read(write(
        tmp_path / "run", records={"a": pages.measured("corruptions", {}) | fields}
    ))])  # fmt: skip
    (command,) = commands._of_run(run_, report.defaults)[-1:]
    assert "--measure=corruptions" in command
    assert shown in command
    assert ("--corrupted_images=" in command) == (":" in shown)
    assert ("--baseline=" in command) == ("baseline" in fields)


def test_a_report_needs_no_jax():
    """It is made while a run trains, and must not claim that run's accelerator."""
    code = "import sys, train.report; print('jax' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert done.stdout == "False\n"
