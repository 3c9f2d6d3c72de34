"""`train.tune` through the command line, and what it refuses."""

import json
import os
import signal
import subprocess
import time

import pytest

from tests.conftest import ROOT
from tests.support.commands import command, environment
from train import tune

CONFIG = "configs/digits_ikl_at.py:validation,quick"
SPACE = "loss.alpha=log:1..40 loss.weight_temperature=log:0.5..8"


def refused(capsys, *arguments, workdir="unused", config=CONFIG, space=SPACE):
    code = tune.main(
        ["tune", config, f"--space={space}", f"--workdir={workdir}", *arguments]
    )
    assert code
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    return said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"config": "configs/digits_ikl_at.py"}, "data.evaluate_on must be validation"),
        ({"config": "configs/none.py"}, "cannot load --config=configs/none.py"),
        ({"space": "loss.alpa=1..2"}, "did you mean loss.alpha?"),
        ({"space": "loss.temperature=1..2"}, "loss.weight_temperature"),
    ],
)  # fmt: skip
def test_bad_configs_and_spaces(capsys, tmp_path, given, said):
    assert said in refused(capsys, workdir=tmp_path / "study", **given)
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("--trials=0", "--trials must be at least 1, got 0"),
        ("--seed=-1", "--seed must not be negative, got -1"),
        ("--objective=fast", "natural, robust or natural,robust, got fast"),
        ("--objective=robust,robust", "got robust,robust"),
        ("--sampler=grid", "--sampler"),
        ("--config.loss.alpha=3", "loss.alpha and --config.loss.alpha exclude"),
        ("--config.loss.alpa=3", "the config has no field loss.alpa"),
        ("configs/base.py", "a search has one config"),
        ("--workdir=gs://bucket/x", "--workdir must be a local path"),
    ],
)
def test_bad_flags(capsys, flag, said):
    assert said in refused(capsys, flag)


def test_objectives_that_cannot_be_had(capsys):
    said = refused(capsys, "--objective=robust", "--config.evaluation.restarts=0")
    assert "evaluation.restarts must be above 0" in said
    said = refused(capsys, "--objective=natural,robust", "--pruner=median")
    assert "Optuna does not prune with several" in said
    said = refused(capsys, "--pruner=median", "--config.evaluation.every=0")
    assert "evaluation.every must be above 0" in said


def test_help_shows_how(capsys):
    assert tune.main(["tune", "--help"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(
        "usage: python -m train.tune --space=... --workdir=... CONFIGS"
    )
    assert '--space="loss.alpha=log:1..40' in said


def started(workdir, *arguments):
    return subprocess.Popen(
        command(
            CONFIG, f"--space={SPACE}", f"--workdir={workdir}", *arguments,
            module="train.tune",
        ),
        cwd=ROOT, env=environment(optimised=False), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, process_group=0,
    )  # fmt: skip


@pytest.mark.long
def test_a_search_that_is_killed_goes_on_and_ends_with_a_config_to_run(tmp_path):
    """Two processes on one study; one is killed outright, and a third takes over."""
    workdir = tmp_path / "study"
    first = started(workdir, "--trials=3")
    log = workdir / "trials" / "0000" / "metrics.jsonl"
    while not log.exists() and first.poll() is None:
        time.sleep(0.1)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    both = [started(workdir, "--trials=3") for _ in range(2)]
    outputs = [process.communicate(timeout=900) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    shown = json.loads((workdir / "study.json").read_text())
    folders = sorted(each["folder"] for each in shown["trials"])
    states = {each["state"] for each in shown["trials"]}
    assert (folders[0], len(set(folders)), states) == ("0000", 3, {"finished"})
    assert (
        sorted(p.parent.name for p in workdir.glob("trials/*/config.json")) == folders
    )
    best = subprocess.run(
        command(f"--config={workdir / 'best.py'}:test", f"--workdir={tmp_path / 'best'}"),
        cwd=ROOT, env=environment(optimised=False), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert best.returncode == 0, best.stderr
    result = json.loads((tmp_path / "best" / "result.json").read_text())
    assert (result["evaluated_on"], result["num_examples"]) == ("test", 360)
    other = started(workdir, "--trials=3", "--config.seed=1")
    assert "seed is 0 there and 1 here" in other.communicate()[1]
