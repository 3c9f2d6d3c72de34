"""`python -m train.sweep`: what it refuses, lists and prints; the whole of it is long."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import ROOT
from tests.support.commands import environment
from tests.support.results import write
from train import sweep
from train.search import evaluations

FASHION = "configs/fashion_mnist_at.py:quick"
DIGITS = "configs/digits_ikl_at.py:natural,quick"


def ended(capsys, *arguments):
    code = sweep.main([str(each) for each in arguments])
    return code, *capsys.readouterr()


def refused(capsys, tmp_path, *arguments):
    code, out, error = ended(capsys, f"--workdir={tmp_path / 'new'}", *arguments)
    assert code in (1, 2), out
    assert not (tmp_path / "new").exists()
    return error


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "name one or more configs"),
        ([FASHION, FASHION], "a sweep has one config, got"),
        ([FASHION, "--vary=los=kl"], "unknown config argument 'los'; known: loss,"),
        ([FASHION, "--vary=optimizer.lr=1"], "has no field optimizer.lr; did you mean"),
        ([FASHION, "--vary=epochs=1,-1"], "epochs must be > 0, got -1"),
        ([FASHION, "--vary=attack.norm=linf,l7"], "unknown attack.norm 'l7'; did you mean"),
        ([FASHION, "--config.epoch=3", "--seeds=2"], "the config has no field epoch"),
        ([FASHION, "--seeds=0"], "--seeds must be at least 1, got 0"),
        ([FASHION, "--seeds=2", "--jobs=0"], "--jobs must be at least 1, got 0"),
        ([FASHION, "--seeds=2", "--array", "--dry_run"], "exclude each other"),
        ([FASHION, "--evaluate=--workdir=x"], "--evaluate takes no --workdir"),
        ([FASHION, "--evaluate='--steps=3"], "No closing quotation"),
        ([f"{FASHION},foo", "--seeds=2"], "unknown config argument 'foo'"),
        ([FASHION, "--sedes=2"], "Unknown command line flag 'sedes'"),
    ],
)  # fmt: skip
def test_what_is_refused_before_any_run(capsys, tmp_path, given, said):
    assert said in refused(capsys, tmp_path, *given)


def test_a_workdir_is_required_and_must_be_local(capsys):
    assert "--workdir is required" in ended(capsys, FASHION)[2]
    assert "must be a local path" in ended(capsys, FASHION, "--workdir=gs://a/b")[2]


def test_the_list_says_how_far_each_is(capsys, tmp_path):
    given = ("configs/base.py", "--vary=loss.name=kl,ikl", f"--workdir={tmp_path}")
    write(tmp_path / "loss.name=kl", 0.9, 0.5, loss__name="kl")
    (tmp_path / "sweep.json").write_text(json.dumps({"runs": []}))
    code, out, _ = ended(capsys, *given, "--dry_run")
    assert code == 0
    assert re.search(r"loss\.name=kl .* finished", out)
    assert re.search(r"loss\.name=ikl .* not begun", out)
    code, out, error = ended(capsys, *given, "--array")
    assert out.splitlines() == [
        f"{sys.executable} -m train --config=configs/base.py --config.loss.name=ikl "
        f"--workdir={tmp_path / 'loss.name=ikl'}"
    ]
    assert "warning: 1 of 2 runs are finished and left out" in error
    code, _, error = ended(capsys, *given, "--config.epochs=7")
    assert (
        "loss.name=kl was made with another config: epochs is 30 there and 7 here"
        in error
    )
    assert code == 1


def test_a_finished_sweep_prints_its_table(capsys, tmp_path):
    for seed in range(2):
        write(tmp_path / f"seed={seed}", 0.9 + 0.01 * seed, 0.5, seed=seed)
    (tmp_path / "sweep.json").write_text(json.dumps({"runs": []}))
    code, out, _ = ended(
        capsys, "configs/base.py", "--seeds=2", f"--workdir={tmp_path}"
    )
    assert code == 0
    assert "90.50 ± 0.71" in out


def test_runs_that_failed_are_named_after_the_table(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(sweep.runs, "make", lambda *_: {"seed=1": "it is NaN"})
    given = ("configs/base.py", "--seeds=2", f"--workdir={tmp_path}")
    code, out, error = ended(capsys, *given)
    assert (code, out) == (1, "")
    assert error == (
        f"error: 1 of 2 runs failed, see {tmp_path / 'seed=1.log'}; the same command "
        "tries them again\n"
    )
    write(tmp_path / "seed=0", 0.9, 0.5)
    assert "90.0%" in ended(capsys, *given)[1]


def test_help_names_the_flags(capsys):
    code, out, _ = ended(capsys, "--help")
    assert code == 0
    assert "python -m train.sweep configs/fashion_mnist_at.py --vary=loss=kl,ikl" in out
    assert "--vary=VALUE" in out


@pytest.mark.long
def test_flags_of_an_evaluation_are_checked_before(capsys):
    evaluations.check([("--attack=autoattack", "--num_examples=8")])
    with pytest.raises(evaluations.UserError, match="--evaluate=--step=3: Unknown"):
        evaluations.check([("--step=3",)])
    with pytest.raises(evaluations.UserError, match="unknown norm 'l7'"):
        evaluations.check([("--norm=l7",)])


def started(workdir, *more):
    return subprocess.Popen(
        [sys.executable, "-m", "train.sweep", DIGITS, "--vary=loss.label_smoothing=0.0,0.1",
         "--seeds=2", f"--workdir={workdir}", "--config.epochs=6",
         "--evaluate=--restarts=1 --steps=2 --num_examples=64", *more],
        cwd=ROOT, env=environment(optimised=False), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_for(process, there):
    deadline = time.monotonic() + 300
    while not there():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def children(process):
    path = f"/proc/{process.pid}/task/{process.pid}/children"
    with open(path) as file:
        return [int(each) for each in file.read().split()]


@pytest.mark.slow
def test_killed_and_stopped_it_comes_to_the_same_table(tmp_path):
    whole = started(tmp_path / "whole")
    expected, error = whole.communicate(timeout=600)
    assert whole.returncode == 0, error

    workdir = tmp_path / "killed"
    first = "loss.label_smoothing=0.1,seed=0"
    process = started(workdir)
    wait_for(process, lambda: list(workdir.glob(f"{first}/checkpoints/[0-9]*")))
    running = children(process)
    assert running
    for pid in [process.pid, *running]:
        os.kill(pid, signal.SIGKILL)
    process.communicate()
    assert not (workdir / first / "result.json").exists()

    process = started(workdir)
    wait_for(process, lambda: list(workdir.glob("*0.0,seed=1/checkpoints/[0-9]*")))
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=300)
    assert process.returncode == 75
    assert "stopped by SIGTERM; the same command goes on" in error
    assert (
        "going on" in (workdir / f"{first}.log").read_text()
        or (workdir / first / "result.json").exists()
    )

    process = started(workdir)
    out, error = process.communicate(timeout=600)
    assert process.returncode == 0, error
    table = lambda text: text[text.index("┏") :]
    assert table(out) == table(expected)
    metrics = lambda folder: [
        json.loads(path.read_text())["weights_checksum"]
        for path in sorted(folder.glob("*/result.json"))
    ]
    assert metrics(workdir) == metrics(tmp_path / "whole")
    assert len(metrics(workdir)) == 4
