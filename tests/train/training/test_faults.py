"""Runs that are stopped, killed, or cannot write: nothing that was saved is lost."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from configs import digits_ikl_at
from tests.conftest import ROOT
from tests.support.commands import QUICK, command, environment, metrics_of, train
from train.base.errors import UserError
from train.devices.preemption import Preempted, Watch
from train.experiment import run
from train.experiment.checkpoint import Checkpoints
from train.recipes import recipe
from train.training import loop

STEPS = 22  # an epoch of the digits
LONGER = ("--config.epochs=3", "--config.log_every=4")


def quick():
    """A run with adversarial weight perturbation, averaging and class means."""
    config = digits_ikl_at.get_config("quick")
    config.epochs, config.log_every = 3, 4
    assert config.awp.gamma > 0
    assert config.averaging.every == "step"
    assert config.loss.weights == "class_means"
    return config


def go(workdir, config=None):
    return loop.train(config or quick(), workdir, Console(quiet=True))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The same run, uninterrupted."""
    workdir = tmp_path_factory.mktemp("runs") / "whole"
    go(workdir)
    return workdir


@pytest.fixture(scope="module")
def whole_alone(tmp_path_factory):
    """And on a single device, by the command line."""
    workdir = tmp_path_factory.mktemp("runs") / "whole_alone"
    train(workdir, *LONGER)
    return workdir


def same_end(workdir, expected):
    """Whether two runs logged the same and hold the same state, bit for bit."""
    assert metrics_of(workdir) == metrics_of(expected)
    states = [
        Checkpoints(folder / "checkpoints", keep=2, read_only=True)
        for folder in (workdir, expected)
    ]
    template = run.build(quick()).initial_state()
    ours, theirs = (saved.restore(template, pytest.fail) for saved in states)
    for saved in states:
        saved.close()
    assert ours.step == theirs.step == 3 * STEPS
    for name in ("params", "batch_stats", "opt_state", "class_means", "averaged"):
        pairs = zip(
            jax.tree.leaves(getattr(ours.tree, name)),
            jax.tree.leaves(getattr(theirs.tree, name)), strict=True,
        )  # fmt: skip
        assert all(np.array_equal(a, b) for a, b in pairs), name


@pytest.mark.long
def test_sigterm_in_training(tmp_path, whole_alone):
    """In the middle of an epoch; the command exits with the code for a requeue."""
    process = subprocess.Popen(
        command(f"--config={QUICK}", f"--workdir={tmp_path}", *LONGER),
        cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    metrics, deadline = tmp_path / "metrics.jsonl", time.monotonic() + 200
    while not metrics.exists() or metrics.read_text().count("\n") < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 75, errors
    assert errors.endswith("error: stopped by SIGTERM; the same command goes on\n")
    assert not (tmp_path / "result.json").exists()
    train(tmp_path, *LONGER)
    same_end(tmp_path, whole_alone)


@pytest.mark.slow
@pytest.mark.parametrize("calls", [2, 7])
def test_sigterm_in_an_evaluation(tmp_path, monkeypatch, whole, calls):
    """The one after the first epoch, and the last; each has two batches."""
    check, asked = Watch.check, []

    def told(watch):
        asked.append(None)
        if len(asked) == calls:
            os.kill(os.getpid(), signal.SIGTERM)
        check(watch)

    monkeypatch.setattr(Watch, "check", told)
    with pytest.raises(Preempted):
        go(tmp_path)
    monkeypatch.undo()
    assert not (tmp_path / "result.json").exists()
    go(tmp_path)
    same_end(tmp_path, whole)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_starting(tmp_path, monkeypatch, number):
    build = loop.build

    def told(config):
        os.kill(os.getpid(), number)
        return build(config)

    monkeypatch.setattr(loop, "build", told)
    with pytest.raises(Preempted):
        go(tmp_path)


@pytest.mark.slow
def test_sigterm_during_a_save(tmp_path, monkeypatch, whole):
    save = Checkpoints.save

    def told(checkpoints, step, *rest):
        save(checkpoints, step, *rest)
        if step == STEPS:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Checkpoints, "save", told)
    with pytest.raises(Preempted):
        go(tmp_path)
    monkeypatch.undo()
    go(tmp_path)
    same_end(tmp_path, whole)


KILLED_IN_A_SAVE = f"""
import os, signal, sys
from train import cli
from train.experiment import checkpoint

save = checkpoint.Checkpoints.save

def save_and_die(checkpoints, step, *rest):
    save(checkpoints, step, *rest)
    if step == {2 * STEPS}:
        os.kill(os.getpid(), signal.SIGKILL)

checkpoint.Checkpoints.save = save_and_die
sys.exit(cli.main())
"""


@pytest.mark.slow
def test_sigkill_during_a_save(tmp_path, whole_alone):
    """What is being written then is no checkpoint; the one before it is."""
    arguments = command(f"--config={QUICK}", f"--workdir={tmp_path}", *LONGER)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_IN_A_SAVE, *arguments[3:]],
        cwd=ROOT, env=environment(), capture_output=True, timeout=200, check=False,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL
    resumed = train(tmp_path, *LONGER)
    assert re.search(rf"at step ({STEPS}|{2 * STEPS})\b", resumed.stdout)
    same_end(tmp_path, whole_alone)


@pytest.mark.long
def test_killed_between_the_last_evaluation_and_the_result(tmp_path, whole):
    shutil.copytree(whole, tmp_path / "run")
    (tmp_path / "run" / "result.json").unlink()
    go(tmp_path / "run")
    same_end(tmp_path / "run", whole)


def stopped_by(workdir, *prefix):
    """What the command says that was to go on with a run, started by `prefix`."""
    variables = {k: v for k, v in environment(8).items() if "CACHE" not in k}
    failed = subprocess.run(
        [*prefix, *command(f"--config={QUICK}", f"--workdir={workdir}", *LONGER)],
        cwd=ROOT, env=variables, capture_output=True, text=True, timeout=200,
        check=False,
    )  # fmt: skip
    assert failed.returncode == 1, failed.stderr
    (error,) = [line for line in failed.stderr.splitlines() if line.startswith("error")]
    return error


def after_one_epoch(workdir):
    config = quick()
    config.epochs = 1
    go(workdir, config)


@pytest.mark.slow
def test_a_full_disk_leaves_the_earlier_checkpoint(tmp_path):
    """Stood in for by a limit on the size of files, which a checkpoint's exceed."""
    after_one_epoch(tmp_path)
    error = stopped_by(tmp_path, "bash", "-c", 'ulimit -f 16 && exec "$@"', "full")
    assert "cannot save to" in error
    left = run.newest_state(run.build(quick()), tmp_path, pytest.fail)
    assert left.step == STEPS
    assert go(tmp_path)["steps"] == 3 * STEPS


@pytest.mark.slow
def test_a_workdir_that_is_read_only(tmp_path):
    after_one_epoch(tmp_path)
    # Even root may not write then.
    without = (
        "setpriv",
        "--bounding-set=-dac_override,-dac_read_search",
        "--inh-caps=-dac_override,-dac_read_search",
    )
    prefix = without if os.geteuid() == 0 else ()
    folders = [tmp_path, *(path for path in tmp_path.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        if (
            subprocess.run([*prefix, "test", "-w", tmp_path], check=False).returncode
            == 0
        ):
            pytest.skip("this user may write to what is read-only")
        error = stopped_by(tmp_path, *prefix)
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert "Permission denied" in error
    assert str(tmp_path) in error
    assert go(tmp_path)["steps"] == 3 * STEPS


@pytest.mark.slow
def test_nan_in_a_batch(tmp_path, monkeypatch):
    """Nothing of it is saved, and the message says where to look."""
    after_one_epoch(tmp_path)
    to_pixels = recipe.to_pixels

    def with_nan(image):
        x = to_pixels(image)
        return x.at[0, 3, 3, 0].set(jnp.nan) if len(x) == 64 else x

    monkeypatch.setattr(recipe, "to_pixels", with_nan)
    with pytest.raises(
        UserError, match=r"metric is not finite at step 24 .*step 22 is"
    ):
        go(tmp_path)
    # Told to stop before they are looked at, the run does not save them either.
    requested = Watch.requested
    monkeypatch.setattr(
        Watch, "requested", lambda watch, step: step == 24 or requested(watch, step)
    )
    with pytest.raises(
        UserError, match=r"metric is not finite at step 23 .*step 22 is"
    ):
        go(tmp_path)
    monkeypatch.undo()
    assert go(tmp_path)["steps"] == 3 * STEPS


@pytest.mark.slow
def test_a_run_killed_at_random_moments():
    done = subprocess.run(
        [sys.executable, "benchmarks/kills.py", "--count", "4"],
        cwd=ROOT, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "4 kills: the same to the last bit" in done.stdout
