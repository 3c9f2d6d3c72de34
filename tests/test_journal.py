"""The file that an evaluation goes on from: whole records, of the same evaluation."""

import json
import os
import signal
import subprocess
import time

import numpy as np
import pytest

from ikl_jax.attacks.ensemble import Record
from tests.commands import command, environment, run, train
from tests.conftest import ROOT
from train.errors import UserError
from train.journal import Journal


def record(number, count=3):
    rng = np.random.default_rng(number)
    broken = np.arange(count) % 2 == 0
    x_adv = rng.random((int(broken.sum()), 2, 2, 1)).astype(np.float32)
    return Record(number, np.arange(count) + number, broken, x_adv, 0.5 + number)


def check(records, count):
    assert [one.number for one in records] == list(range(count))
    for one in records:
        for ours, expected in zip(one, record(one.number), strict=True):
            np.testing.assert_array_equal(ours, expected)


def written(path, count=3):
    journal = Journal(path, "an evaluation")
    assert journal.records == []
    for number in range(count):
        journal.add(record(number))
    journal.close()
    return path


def test_what_is_added_is_there(tmp_path):
    path = written(tmp_path / "journal")
    journal = Journal(path, "an evaluation")
    check(journal.records, 3)
    journal.add(record(3))
    journal.close()
    journal = Journal(path, "an evaluation")
    check(journal.records, 4)
    journal.close()


def test_another_evaluations_is_refused(tmp_path):
    path = written(tmp_path / "journal")
    before = path.read_bytes()
    with pytest.raises(UserError, match="another model, data, key or threat: an eval"):
        Journal(path, "another evaluation")
    assert path.read_bytes() == before


@pytest.mark.parametrize("cut", [1, 13, 400])
def test_a_cut_record_is_forgotten(tmp_path, cut):
    path = written(tmp_path / "journal")
    path.write_bytes(path.read_bytes()[:-cut])
    journal = Journal(path, "an evaluation")
    check(journal.records, 2)
    journal.add(record(2))
    journal.close()
    journal = Journal(path, "an evaluation")
    check(journal.records, 3)
    journal.close()


def test_a_flipped_bit_ends_what_is_read(tmp_path):
    path = written(tmp_path / "journal")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    journal = Journal(path, "an evaluation")
    check(journal.records, 1)
    journal.close()


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="cannot write .*journal"):
        Journal(tmp_path / "none" / "journal", "an evaluation")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("autoattack") / "run"
    train(workdir, config="configs/digits_ikl_at.py:natural,quick")
    return workdir


ASKED = ("--attack=autoattack", "--num_examples=40", "--epsilon=0.02")


def evaluated(workdir):
    told = json.loads((workdir / "evaluation.json").read_text())
    (result,) = (entry for name, entry in told.items() if "autoattack" in name)
    return result


def started_and_killed(workdir, version):
    """Killed with -9 once the journal has grown by a record or more."""
    journal = workdir / "autoattack.journal"
    process = subprocess.Popen(
        command(
            f"--workdir={workdir}", *ASKED, f"--version={version}",
            module="train.evaluate",
        ),
        cwd=ROOT, env=environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    before = journal.stat().st_size if journal.exists() else 0
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and process.poll() is None:
        if journal.exists() and journal.stat().st_size > max(before, 200):
            break
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.slow
def test_autoattack_on_a_run_killed_and_gone_on_with(trained):
    started_and_killed(trained, "apgd")
    assert not (trained / "evaluation.json").exists()
    done = run(
        f"--workdir={trained}", *ASKED, "--version=apgd", module="train.evaluate"
    )
    assert done.returncode == 0, done.stderr
    assert "going on after" in done.stdout
    result = evaluated(trained)
    assert result["num_examples"] == 40
    names = [stage["attack"] for stage in result["stages"]]
    assert names == ["apgd-ce", "apgd-t"]
    robust = result["robust_accuracy"]["autoattack_apgd"]
    assert 0 < robust < result["natural_accuracy"]
    assert "upper bound" in result["notes"][-1]

    (trained / "autoattack.journal").unlink()
    again = run(
        f"--workdir={trained}", *ASKED, "--version=apgd", module="train.evaluate"
    )
    assert again.returncode == 0, again.stderr
    whole = evaluated(trained)
    for name in ("robust_accuracy", "natural_accuracy"):
        assert whole[name] == result[name]
    accuracies = [
        [stage["robust_accuracy"] for stage in told["stages"]]
        for told in (whole, result)
    ]
    assert accuracies[0] == accuracies[1]

    other = run(
        f"--workdir={trained}", *ASKED, "--version=apgd", "--seed=1",
        module="train.evaluate",
    )  # fmt: skip
    assert other.returncode == 1
    assert "holds the attacks of another model, data, key or threat" in other.stderr
    steps = run(f"--workdir={trained}", *ASKED, "--steps=3", module="train.evaluate")
    assert steps.returncode == 1
    assert "--steps is for --attack=pgd" in steps.stderr
