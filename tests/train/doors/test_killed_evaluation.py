"""An evaluation by AutoAttack that is killed goes on, and comes to the same end."""

import itertools
import os
import signal
import subprocess
import time

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.support.commands import command, environment
from tests.support.evaluations import AUTOATTACK, evaluations, journalled, judge
from train.evaluation import records
from train.evaluation.pgd import Evaluator


def journalled_in(workdir):
    return [record for path in workdir.glob("*.journal") for record in journalled(path)]


def by_example(workdir):
    """By pass and example what it came to."""
    entries = {}
    for record in journalled_in(workdir):
        x_adv = iter(record.x_adv)
        for row, broken in zip(record.rows, record.broken, strict=True):
            entries[record.number, int(row)] = next(x_adv).tobytes() if broken else b""
    return entries


def killed_in(workdir, number):
    """Started, and killed with -9 while that pass, or a later one, is going on."""
    process = subprocess.Popen(
        command(f"--workdir={workdir}", *AUTOATTACK, module="train.evaluate"),
        cwd=ROOT, env=environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 250
    done = lambda: max((record.number for record in journalled_in(workdir)), default=-1)
    while time.monotonic() < deadline and process.poll() is None:
        if done() >= number - 1:
            time.sleep(0.3)
            break
        time.sleep(0.05)
    assert process.poll() is None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    return done()


@pytest.mark.slow
def test_killed_in_each_attack_it_comes_to_the_same_end(workdir, capsys):
    """Passes 0, 1 to 9, 10 to 18 and 19 are of APGD-CE, APGD-T, FAB-T and Square."""
    for number in (0, 4, 13, 19):
        assert killed_in(workdir, number) < 19
        assert not (workdir / "evaluation.json").exists()
    assert judge(f"--workdir={workdir}", *AUTOATTACK, "--nopicture") == 0
    assert "going on after" in capsys.readouterr().out
    (gone_on_with,) = evaluations(workdir).values()
    arrays = records.per_example(workdir, gone_on_with)
    entries = by_example(workdir)
    (path,) = workdir.glob("*.journal")
    path.unlink()
    (workdir / gone_on_with["per_example"]).unlink()
    assert judge(f"--workdir={workdir}", *AUTOATTACK, "--nopicture") == 0
    (whole,) = evaluations(workdir).values()
    for result in (gone_on_with, whole):
        assert result.pop("seconds") > 0
        assert all(stage.pop("seconds") >= 0 for stage in result["stages"])
    assert gone_on_with == whole
    assert entries == by_example(workdir)
    for name, array in records.per_example(workdir, whole).items():
        np.testing.assert_array_equal(array, arrays[name], err_msg=name)
    names = [stage["attack"] for stage in whole["stages"]]
    assert names == ["apgd-ce", "apgd-t", "fab-t", "square"]


@pytest.mark.long
def test_an_interrupted_pgd_goes_on(workdir, capsys, monkeypatch):
    attack = (
        f"--workdir={workdir}",
        "--restarts=2",
        "--config.evaluation.batch_size=64",
    )
    whole = Evaluator.parts

    def interrupted(*given):
        yield from itertools.islice(whole(*given), 2)
        raise KeyboardInterrupt

    monkeypatch.setattr(Evaluator, "parts", interrupted)
    assert judge(*attack) == 130
    (path,) = workdir.glob("pgd5x2-at-0.12-*.journal")
    monkeypatch.setattr(Evaluator, "parts", whole)
    assert judge(*attack) == 0
    assert f"going on after 2 batches in {path}" in capsys.readouterr().out
    assert not path.exists()
    (gone_on_with,) = evaluations(workdir).values()
    arrays = records.per_example(workdir, gone_on_with)
    assert judge(*attack) == 0
    assert "going on" not in capsys.readouterr().out
    assert list(evaluations(workdir).values()) == [gone_on_with]
    for name, array in records.per_example(workdir, gone_on_with).items():
        np.testing.assert_array_equal(array, arrays[name], err_msg=name)
