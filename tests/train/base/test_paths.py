"""Paths that a user names, and what is printed of them."""

import ast
import io
import pathlib

import pytest

from tests.conftest import ROOT
from train import cli, compare, convert, convert_synthetic, evaluate, pseudo_label
from train.base import files, terminal
from train.base.errors import UserError
from train.base.files import paths

CHANGING = {"write_text", "write_bytes", "touch", "rename", "copyfile", "rmtree"}
CONFIG = "--config=configs/digits_ikl_at.py:natural,quick"


def test_the_home_folder_is_expanded(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert files.named("~/run", "--workdir") == tmp_path / "run"
    assert files.of_run("~/run", "--workdir") == tmp_path / "run"
    assert files.local("run[lr=1]/*", "--workdir") == pathlib.Path("run[lr=1]/*")
    with pytest.raises(UserError, match="--workdir=~nobody-of-that-name/x: .*home"):
        files.named("~nobody-of-that-name/x", "--workdir")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "must be a path, got ''"),
        ("--config.epochs=1", "which looks like a flag; .* write ./--config.epochs=1"),
        ("a\0b", "must be a path, got 'a.x00b'"),
        ("ftp://x/y", "a local path or a URL that begins with gs:// or .*, got ftp:"),
        ("gs:/bucket/run", "got gs:/bucket/run"),
        ("file:///tmp/run", "got file:///tmp/run"),
        ("gs:///run", "must name a bucket, got gs:///run"),
        ("s3://bucket/run*", "must not hold any of .*, got s3://bucket/run"),
        ("az://bucket/run", "az:// needs adlfs: pip install adlfs"),
    ],
)
def test_what_is_no_path_is_refused(text, problem):
    with pytest.raises(UserError, match=problem):
        files.named(text, "--output")


def test_checkpoints_go_to_fewer_stores():
    with pytest.raises(UserError, match="or a URL that begins with gs://, got s3://b"):
        files.of_run("s3://b/run", "--workdir")
    with pytest.raises(UserError, match="--output must be a local path, got gs://b/x"):
        files.local("gs://b/x", "--output")


@pytest.mark.parametrize(
    ("main", "argv"),
    [
        (cli.main, ["train", CONFIG, "--workdir=s3://bucket/run"]),
        (evaluate.main, ["evaluate", "--workdir=ftp://bucket/run"]),
        (evaluate.main, ["evaluate", "--weights=http://x/w.npz"]),
        (compare.main, ["ftp://bucket/run"]),
        (convert.main, ["convert", "--weights=w.pt", "--model=cnn", "--output=x://o"]),
        (convert_synthetic.main,
         ["convert_synthetic", "--parts=x", "--output=gs://bucket/shards"]),
        (pseudo_label.main,
         ["pseudo_label", "--workdir=run", "--output=gs://bucket/pseudo.npz"]),
        (cli.main, ["train", CONFIG, "--workdir=run", "--config.data.source=npz:x://y"]),
        (cli.main,
         ["train", CONFIG, "--workdir=run", "--config.data.source=folder:gs://b/y"]),
        (cli.main, ["train", CONFIG, "--workdir=run", "--config.data.train_list=x://y"]),
        (cli.main, ["train", CONFIG, "--workdir=run", "--config.data.synthetic=gs://b"]),
    ],
)  # fmt: skip
def test_every_command_refuses_other_urls(main, argv, capsys, tmp_path, monkeypatch):
    """In one sentence, and no folder named after the URL appears."""
    argv = [
        each.replace("configs/", f"{pathlib.Path('configs').resolve()}/")
        for each in argv
    ]
    monkeypatch.chdir(tmp_path)
    assert main(argv) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert "must be a local path" in line
    assert not list(tmp_path.iterdir())


def test_a_pattern_is_looked_for_in_a_folder_whose_name_is_like_one(tmp_path):
    folder = tmp_path / "x[lr=1]*?y"
    (folder / "part_1").mkdir(parents=True)
    (folder / "other").touch()
    path = paths.for_orbax(folder)
    assert [found.name for found in path.glob("part_*")] == ["part_1"]
    assert [found.name for found in (path / "part_1").parent.glob("o*")] == ["other"]


def writes(path):
    """The calls in a module that change a file system by themselves."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        name = getattr(function, "attr", getattr(function, "id", ""))
        modes = [each.value for each in node.args if isinstance(each, ast.Constant)]
        is_open = name == "open" and any(set("wax+") & set(str(m)) for m in modes)
        if is_open or name in CHANGING:
            yield f"{path.relative_to(ROOT)}: {name}"


def test_files_are_written_by_one_package_alone():
    """Except for what another library reads or writes in place, on a disk alone."""
    own = ROOT / "train" / "base" / "files"
    found = [
        call
        for path in sorted((ROOT / "train").rglob("*.py"))
        if not path.is_relative_to(own)
        for call in writes(path)
    ]
    assert list(writes(own / "whole.py"))
    assert found == [
        "train/search/children.py: open",  # what the process of a run prints
        "train/teachers/cached_logits.py: open",
        "train/training/writers.py: open",  # the events of TensorBoard
    ]


def test_names_are_printed_as_they_are():
    out = io.StringIO()
    console = terminal.console(file=out, width=200, force_terminal=True)
    console.print("run[lr=1] [red]x[/red] :smile: \x1b[2J\x07 \udc80", highlight=False)
    assert out.getvalue() == ("run[lr=1] [red]x[/red] :smile: \\x1b[2J\\x07 \\udc80\n")


def test_a_name_is_not_cut_where_output_goes_to_a_file():
    out = io.StringIO()
    terminal.console(file=out, width=20).print("x" * 50, "is finished")
    assert out.getvalue() == "x" * 50 + " is finished\n"


def test_an_error_holds_no_escapes(capsys):
    assert compare.main(["no\x1b[31mrun"]) == 1
    assert capsys.readouterr().err == "error: no finished run: there is no " + (
        "no\\x1b[31mrun/result.json\n"
    )
