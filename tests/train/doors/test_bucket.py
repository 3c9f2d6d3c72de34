"""A run whose workdir is in a bucket: all of it is there, and it is as a local one."""

import contextlib
import json

import numpy as np
import pytest
from etils import epath

from tests.conftest import ROOT
from tests.support import bucket
from train import cli, compare, evaluate
from train.base.files import lock
from train.evaluation import records
from train.experiment.checkpoint import Checkpoints

TINY = (
    "--config.model.name=cnn_4", "--config.attack.steps=1", "--config.seed=3",
    "--config.evaluation.steps=1", "--config.data.crop_padding=0",
)  # fmt: skip


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A bucket, and an empty folder to work in."""
    with pytest.MonkeyPatch.context() as patch, bucket.served(patch):
        patch.setattr(lock, "SETTLE", 0.01)
        patch.chdir(tmp_path_factory.mktemp("here"))
        yield epath.Path(f"gs://{bucket.NAME}/runs")


def train(workdir, epochs):
    config = f"--config={ROOT}/configs/digits_ikl_at.py:natural,quick"
    options = (*TINY, f"--config.epochs={epochs}")
    assert cli.main(["train", config, *options, f"--workdir={workdir}"]) == 0


def written(workdir):
    """What a run leaves, without what differs between two runs: times and names."""
    result = json.loads((workdir / "result.json").read_text())
    lines = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    found = [result, *lines]
    for each in found:
        each.pop("seconds", None)
    return found


def truncate(folder):
    for name in bucket.names(str(folder).removeprefix("gs://")):
        content = bucket.OBJECTS[name][1]
        bucket.put(name, content[: len(content) // 2])


@pytest.mark.long
def test_a_run_in_a_bucket_is_as_one_on_a_disk(served, tmp_path, capsys):
    workdir, local = served / "a", tmp_path / "a"
    for place in (workdir, local):
        train(place, epochs=1)
        train(place, epochs=2)
        assert f"resuming {place} at step 22" in capsys.readouterr().out
    assert written(workdir) == written(local)
    names = {path.name for path in workdir.iterdir()}
    assert names == {path.name for path in local.iterdir()}
    steps = {path.name for path in (workdir / "checkpoints").iterdir()}
    assert steps == {path.name for path in (local / "checkpoints").iterdir()}
    assert len(list((workdir / "tensorboard").iterdir())) == 2
    assert (workdir / "examples.png").read_bytes().startswith(b"\x89PNG")
    assert not list(epath.Path(".").iterdir())

    # The log is not uploaded line by line.
    log = f"{bucket.NAME}/runs/a/metrics.jsonl"
    assert bucket.WRITES.count(log) < len(written(workdir)) - 1

    judge = ["--attack=autoattack", "--version=apgd-ce", "--num_examples=8"]
    for options in (["--weights=best"], [*judge, "--nopicture"]):
        for place in (workdir, local):
            argv = ["evaluate", f"--workdir={place}", *options]
            assert evaluate.main(argv) == 0
    ours, theirs = records.read(workdir), records.read(local)
    assert ours.keys() == theirs.keys()
    for key, record in ours.items():
        arrays = records.per_example(local, theirs[key])
        for name, array in records.per_example(workdir, record).items():
            np.testing.assert_array_equal(array, arrays[name])
    capsys.readouterr()
    assert compare.main([str(workdir)]) == 0
    assert "autoattack" in capsys.readouterr().out

    # A damaged checkpoint is set aside, and the run goes on from the older one.
    truncate(workdir / "checkpoints" / "44" / "state")
    train(workdir, epochs=3)
    said = capsys.readouterr().out
    assert "checkpoint 44" in said
    assert "at step 22" in said
    moved = {path.name for path in (workdir / "checkpoints_damaged").iterdir()}
    assert moved == {"44"}
    assert not list(epath.Path(".").iterdir())


@pytest.mark.long
def test_a_second_process_leaves_a_run_in_a_bucket_alone(served, capsys, monkeypatch):
    monkeypatch.setattr(lock, "BEAT", 0.05)
    workdir = served / "b"
    with contextlib.ExitStack() as stack:
        stack.enter_context(lock.held(workdir / ".train.lock", workdir))
        before = bucket.names(f"{bucket.NAME}/runs/b")
        config = f"--config={ROOT}/configs/digits_ikl_at.py:natural,quick"
        assert cli.main(["train", config, f"--workdir={workdir}"]) == 1
        assert bucket.names(f"{bucket.NAME}/runs/b") == before
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {workdir} is in use by process ")
    assert not Checkpoints(workdir / "checkpoints", keep=1).steps()
