"""An evaluation by two processes: what one finds, and what a kill leaves to the next."""

import shutil
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax import models
from tests.conftest import small_images
from tests.support.commands import outcome, started_together
from tests.support.evaluations import AUTOATTACK, evaluations, journalled, judge
from train.evaluation import records
from train.networks import converted

APGD = (
    *AUTOATTACK, "--version=apgd-ce,apgd-t", "--config.evaluation.batch_size=8",
    "--nopicture",
)  # fmt: skip

WITH_SQUARE = (*AUTOATTACK, "--version=apgd-ce,square")


def together(workdir, *arguments, each=((), ()), variables=({}, {})):
    given = (f"--workdir={workdir}", *arguments)
    processes = started_together(
        "train.evaluate", *given, each=each, variables=variables
    )
    return outcome(processes, timeout=500)


def found(workdir):
    """Each record without its times, and its arrays."""
    pairs = []
    for record in evaluations(workdir).values():
        arrays = records.per_example(workdir, record)
        assert record.pop("seconds", 1) > 0
        for stage in record.get("stages", []):
            stage.pop("seconds")
        pairs.append((record, arrays))
    return pairs


def check_same(workdir, expected):
    for (record, arrays), (ours, theirs) in zip(
        found(workdir), found(expected), strict=True
    ):
        record.pop("curve", None)
        ours.pop("curve", None)
        assert record == ours
        assert arrays.keys() == theirs.keys()
        for name in arrays.keys() - {"distance", "logits", "image_adversarial"}:
            np.testing.assert_array_equal(arrays[name], theirs[name], err_msg=name)
        np.testing.assert_allclose(arrays["logits"], theirs["logits"], atol=1e-4)


def copied(workdir, name):
    """The run and the journals that are there, for another test to go on with."""
    copy = workdir.parent / name
    shutil.copytree(workdir, copy, symlinks=True)
    return copy


@pytest.mark.slow
@pytest.mark.parametrize(
    "attack",
    [WITH_SQUARE, ("--restarts=2", "--norm=l2", "--epsilon=0.5"), ("--restarts=0",)],
)
def test_two_processes_find_what_one_does(workdir, attack):
    one = copied(workdir, "one")
    codes, errors = together(workdir, *attack)
    assert codes == [0, 0], errors
    assert judge(f"--workdir={one}", *attack) == 0
    check_same(workdir, one)
    left = sorted(path.name.partition(".")[2] for path in workdir.glob("auto*journal"))
    assert len(left) == (2 if attack is WITH_SQUARE else 0)
    assert not list(workdir.glob("pgd*journal"))


def killed_midway(workdir, *attack):
    """Two processes, of which the second is killed; its journal is not complete."""
    processes = started_together("train.evaluate", f"--workdir={workdir}", *attack)
    deadline = time.monotonic() + 400
    while not any(len(journalled(path)) > 1 for path in workdir.glob("*.1.journal")):
        assert time.monotonic() < deadline
        assert processes[1].poll() is None
        time.sleep(0.01)
    processes[1].kill()
    codes, errors = outcome(processes, timeout=400)
    assert codes[0] != 0
    assert "Terminating process" in errors[0] or "may be gone" in errors[0]
    (second,) = workdir.glob("*.1.journal")
    assert max(record.number for record in journalled(second)) < 9
    assert not (workdir / "evaluation.json").exists()


@pytest.mark.slow
def test_killed_it_goes_on_with_one_process_and_with_two(workdir, capsys):
    whole = copied(workdir, "whole")
    assert judge(f"--workdir={whole}", *APGD) == 0
    capsys.readouterr()
    killed_midway(workdir, *APGD)
    by_one = copied(workdir, "by_one")
    codes, errors = together(workdir, *APGD)
    assert codes == [0, 0], errors
    assert judge(f"--workdir={by_one}", *APGD) == 0
    assert "going on after" in capsys.readouterr().out
    for folder in (workdir, by_one):
        check_same(folder, whole)
        attacked = [
            (record.number, int(row))
            for path in folder.glob("*.journal")
            for record in journalled(path)
            for row in record.rows
        ]
        assert len(set(attacked)) == len(attacked)  # nothing was attacked twice


@pytest.mark.long
def test_different_flags(workdir):
    codes, errors = together(workdir, "--restarts=1", each=((), ("--seed=3",)))
    assert codes == [1, 1]
    for process, message in enumerate(errors):
        assert "error: the processes have different flags: " in message, process
    assert not (workdir / "evaluation.json").exists()


@pytest.mark.long
def test_different_weights(tmp_path):
    images, labels = small_images(channels=3)
    np.savez(
        tmp_path / "data.npz", x_train=images, y_train=labels, x_test=images,
        y_test=labels,
    )  # fmt: skip
    homes = [tmp_path / "home0", tmp_path / "home1"]
    for seed, home in enumerate(homes):
        home.mkdir()
        model = models.create("cnn_4", 4)
        variables = model.init(jax.random.key(seed), jnp.zeros((1, 12, 12, 3)))
        saved = converted.Converted("cnn_4", 4, None, jax.device_get(variables))
        converted.write(home / "weights.npz", saved)
    codes, errors = together(
        tmp_path / "results", "--weights=~/weights.npz",
        f"--source=npz:{tmp_path / 'data.npz'}", "--attack=autoattack",
        variables=[{"HOME": str(home)} for home in homes],
    )  # fmt: skip
    assert codes == [1, 1], errors
    for message in errors:
        assert "error: the processes have different weights: checksum " in message
    assert not list((tmp_path / "results").iterdir())
