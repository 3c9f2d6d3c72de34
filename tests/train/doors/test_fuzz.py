"""Drawn command lines and damaged files: one sentence each, and nothing overwritten."""

import collections
import gc
import random
import shutil
import sys
import threading

import jax
import numpy as np
import pytest

from tests.conftest import ROOT, small_images
from tests.support import fuzz
from tests.support.recipes import other_weights
from train import (
    cli,
    compare,
    convert,
    convert_synthetic,
    evaluate,
    export,
    pseudo_label,
)
from train.base.errors import UserError
from train.cli import evaluated
from train.planning import command as planning
from train.training import loop

COMMANDS, FILES = 1000, 300
pytestmark = pytest.mark.long
HEAD = (
    f"--config={ROOT}/configs/digits_ikl_at.py:natural,quick",
    "--config.model.name=cnn_4",
)
SMALL = (
    "--config.batch_size=16", "--config.epochs=2", "--config.data.crop_padding=0",
    "--config.evaluation.restarts=0", "--config.evaluation.batch_size=32",
)  # fmt: skip


def stop(*_, **__):
    raise UserError("the work would begin here")


@pytest.fixture
def no_work(monkeypatch):
    """Commands end where the work would begin."""
    monkeypatch.setattr(loop, "_train", stop)
    monkeypatch.setattr(planning, "main", stop)
    monkeypatch.setattr(jax.distributed, "initialize", stop)
    for name, kind in evaluate.KINDS.items():
        monkeypatch.setitem(evaluate.KINDS, name, kind._replace(judge=stop))
    # Errors in the threads of libraries come to the main thread too, which tells them.
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    yield
    gc.collect()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Data, a run of two epochs on them, and a file of weights."""
    folder = tmp_path_factory.mktemp("fuzz")
    images, labels = small_images()
    np.savez(
        folder / "data.npz", x_train=images[:96], y_train=labels[:96],
        x_test=images[96:], y_test=labels[96:],
    )  # fmt: skip
    assert cli.main(["train", *arguments(folder), *SMALL]) == 0
    given = (f"--workdir={folder / 'run'}", "--num_examples=8")
    assert evaluate.main(["evaluate", *given]) == 0
    other_weights(folder / "weights.npz")
    return folder


def arguments(folder):
    source = f"--config.data.source=npz:{folder / 'data.npz'}"
    return [*HEAD, source, f"--workdir={folder / 'run'}"]


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def kept(before, folder):
    """The files that are gone or changed; what was set aside is neither."""
    now = contents(folder)
    found = set(now.values())
    return [
        path
        for path, content in before.items()
        if now.get(path) != content and content not in found
    ]


def run_one(main, argv, before, folder):
    """Its exit code, -1 if it has none, and what is wrong with how it ended, or ""."""
    end = fuzz.ended(main, argv if main is compare.main else ["train", *argv])
    changed = "".join(f"changed {path}" for path in kept(before, folder))
    code = end.code if isinstance(end.code, int) else -1
    return code, end.problem() or changed


def tell(title, codes, problems):
    print(f"{title}: {sum(codes.values())}, exit codes {dict(codes)}")
    assert not problems, "\n".join(problems[:20])


def test_command_lines(trained, tmp_path, no_work, monkeypatch, capsys):
    monkeypatch.setattr(evaluated.target, "of_run", stop)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("mine")
    (tmp_path / "a.npz").write_bytes(b"mine too")
    before, codes, problems = contents(tmp_path), collections.Counter(), []
    for seed in range(COMMANDS):
        draw = random.Random(seed)
        others = (compare, convert, convert_synthetic)
        main, drawn = draw.choice(
            [(cli.main, fuzz.training)] * 12
            + [(evaluate.main, fuzz.evaluating)] * 5
            + [(draw.choice(others).main, fuzz.converting)] * 2
            + [(export.main, fuzz.exporting), (pseudo_label.main, fuzz.labelling)]
        )
        argv = drawn(draw, tmp_path)
        code, problem = run_one(main, argv, before, tmp_path)
        codes[code] += 1
        if problem:
            problems.append(f"{seed} {main.__module__} {argv}: {problem}")
    with capsys.disabled():
        tell("\ncommand lines", codes, problems)


def damaged(trained, folder):
    """Copies of the run in which one file is damaged, without end."""
    paths = sorted(path for path in trained.rglob("*") if path.is_file())
    for seed in range(10**6):
        draw = random.Random(seed)
        # Two times of three one of the few files that are not Orbax's.
        path = draw.choice(
            [p for p in paths if seed % 3 == 0 or "checkpoints" not in p.parts]
        ).relative_to(trained)
        for name, content in fuzz.damages(draw, trained / path):
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(trained, folder)
            if content is None:
                (folder / path).unlink()
            else:
                (folder / path).write_bytes(content)
            yield f"{seed} {name} {path}", path


def commands_for(path, folder):
    """The commands that read a file."""
    workdir = f"--workdir={folder / 'run'}"
    if path.name == "weights.npz":
        return [(evaluate.main, [f"--weights={folder / path}", "--source=digits"])]
    if path.parts[-1] == "data.npz":
        return [(cli.main, [*arguments(folder), *SMALL])]
    if "checkpoints" in path.parts:
        return [(evaluate.main, [workdir])]
    train = (cli.main, [*arguments(folder), *SMALL])
    read = [train, (compare.main, [str(folder / "run")])]
    return [*read, (evaluate.main, [workdir])] if path.name == "config.json" else read


def test_damaged_files(trained, tmp_path, no_work, capsys):
    codes, problems, count = collections.Counter(), [], 0
    folder = tmp_path / "copy"
    for name, path in damaged(trained, folder):
        count += 1
        if count > FILES:
            break
        before = contents(folder)
        for main, argv in commands_for(path, folder):
            code, problem = run_one(main, argv, before, folder)
            codes[code] += 1
            if problem:
                problems.append(f"{name}, {main.__module__}: {problem}")
    with capsys.disabled():
        tell(f"\n{count - 1} damaged files; commands on them", codes, problems)
