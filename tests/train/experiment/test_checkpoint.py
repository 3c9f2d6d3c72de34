"""Checkpoints that are damaged, and runs that are stopped, changed or spread out."""

import pathlib
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from rich.console import Console

from configs import digits_ikl_at
from tests.conftest import ROOT, small_images
from tests.support.commands import environment, result_of, train
from train.base.errors import UserError
from train.data.fingerprint import fingerprint
from train.data.splits import DataSet, InMemory, View
from train.devices import sharding
from train.experiment import checkpoint, run, settings
from train.experiment.scores import Score
from train.training import loop


def tree_on(mesh):
    tree = {
        "a": jnp.arange(24.0).reshape(8, 3),
        "b": jnp.ones((16, 16), jnp.bfloat16),
        "key": jax.random.key(3),
        "flag": jnp.array([True, False]),
        "noise": jax.random.bits(jax.random.key(0), (64, 1024)),  # most of the file
    }
    places = sharding.state_shardings(mesh, tree, classifier=(), fsdp=False)
    return jax.device_put(tree, places)


def saved_in(folder, *steps):
    checkpoints = checkpoint.Checkpoints(folder, keep=3)
    tree = tree_on(sharding.create_mesh())
    for step in steps:
        checkpoints.save(step, tree, {"pending": [0.1, step]})
    checkpoints.wait()
    return checkpoints, tree


def test_a_folder_whose_name_is_like_a_pattern(tmp_path):
    checkpoints, tree = saved_in(tmp_path / "x[lr=1]*?y" / "run", 1)
    saved = checkpoints.restore(tree, pytest.fail)
    assert saved is not None
    np.testing.assert_array_equal(saved.tree["a"], tree["a"])
    checkpoints.close()


def flip_a_byte(folder):
    """In the middle of the largest file there."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    path = max(files, key=lambda path: path.stat().st_size)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


def truncate(folder):
    for path in folder.rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def forget_the_kinds_of_keys(folder):
    """Without these files Orbax restores a random key as plain numbers."""
    shutil.rmtree(folder / "array_metadatas")


@pytest.mark.parametrize("damage", [flip_a_byte, truncate, forget_the_kinds_of_keys])
def test_a_damaged_checkpoint_is_set_aside_for_an_older_one(tmp_path, damage):
    checkpoints, tree = saved_in(tmp_path / "run", 1, 2)
    damage(tmp_path / "run" / "2" / "state")
    said = []
    saved = checkpoints.restore(tree, said.append)
    assert saved is not None
    assert saved.step == 1
    assert saved.position == {"pending": [0.1, 1]}
    assert len(said) == 1
    assert "checkpoint 2" in said[0]
    assert (tmp_path / "run_damaged" / "2").is_dir()
    checkpoints.save(2, tree, {})  # its place is free again
    checkpoints.wait()
    assert checkpoints.steps() == [1, 2]
    damage(tmp_path / "run" / "1" / "state")
    damage(tmp_path / "run" / "2" / "state")
    for _ in range(2):  # never taken for a run that has not begun
        with pytest.raises(UserError, match=r"none of the checkpoints \[1, 2\]"):
            checkpoints.restore(tree, said.append)
    checkpoints.close()


def test_metadata_that_orbax_cannot_list(tmp_path):
    checkpoints, _ = saved_in(tmp_path / "run", 1)
    checkpoints.close()
    (tmp_path / "run" / "1" / "_CHECKPOINT_METADATA").write_text("[1]")
    with pytest.raises(UserError, match=r"run: checkpoints cannot be listed: .* dict"):
        checkpoint.Checkpoints(tmp_path / "run", keep=3)


def test_a_changed_position_is_noticed(tmp_path):
    checkpoints, tree = saved_in(tmp_path / "run", 1, 2)
    (path,) = (tmp_path / "run" / "2" / "position").glob("metadata")
    path.write_text(path.read_text().replace("0.1", "0.2"))
    saved = checkpoints.restore(tree, lambda text: None)
    assert saved is not None
    assert saved.step == 1
    checkpoints.close()


class Killed(BaseException):
    """Nothing in the program catches it, as nothing catches SIGKILL."""


def test_killed_while_a_checkpoint_gets_its_score(tmp_path, monkeypatch):
    def reopened():
        return checkpoint.Checkpoints(tmp_path / "run", keep=1)

    def kill(*arguments, **options):
        raise Killed

    checkpoints, tree = saved_in(tmp_path / "run", 1)
    score = Score(0.9, "pgd20")
    with monkeypatch.context() as patch:
        patch.setattr(ocp.CheckpointManager, "save", kill)
        patch.setattr(pathlib.Path, "replace", kill)
        with pytest.raises(Killed):
            checkpoints.save(1, tree, {}, score)
    checkpoints = reopened()
    saved = checkpoints.restore(tree, pytest.fail)
    assert saved is not None
    assert (saved.step, saved.position) == (1, {"pending": [0.1, 1]})
    assert checkpoints.best_step() is None
    checkpoints.save(1, tree, {}, score)
    checkpoints.save(1, tree, {}, Score(0.1, "pgd20"))  # it has a score of this measure
    checkpoints.save(2, tree, {}, Score(0.5, "pgd20"))
    checkpoints.close()
    checkpoints = reopened()
    assert checkpoints.steps() == [1, 2]  # the best and the newest
    assert checkpoints.best_step() == 1
    best = checkpoints.restore_best(tree, pytest.fail)
    assert best is not None
    assert best.position == {"pending": [0.1, 1]}
    checkpoints.save(1, tree, {}, Score(0.4, "pgd5"))
    checkpoints.save(2, tree, {}, Score(0.3, "pgd5"))
    assert checkpoints.best_step() == 1
    truncate(tmp_path / "run" / "1" / "state")
    message = r"checkpoint 1 in .*run, the best one, cannot be read"
    with pytest.raises(UserError, match=message):
        checkpoints.restore_best(tree, lambda text: None)
    checkpoints.close()


@pytest.mark.slow
def test_restored_on_another_mesh_and_trained_on(tmp_path):
    config = digits_ikl_at.get_config("quick")
    config.epochs, config.model.classes_multiple_of = 1, 4
    loop.train(config, tmp_path, Console(quiet=True))
    before = run.newest_state(run.build(config), tmp_path, print)
    config.mesh, config.fsdp, config.epochs = (2, 4), True, 2
    again = run.build(config)
    after = run.newest_state(again, tmp_path, print)
    for ours, theirs in zip(
        jax.tree.leaves(after.params), jax.tree.leaves(before.params), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    assert after.class_means.mean.shape == (12, 12)
    assert after.class_means.mean.sharding.spec == jax.P(None, "model")
    divided = [leaf.sharding.spec for leaf in jax.tree.leaves(after.params)]
    assert any("data" in spec for spec in divided)
    assert loop.train(config, tmp_path, Console(quiet=True))["steps"] == 44
    config.epochs = 1
    with pytest.raises(UserError, match="at step 44 already, beyond epochs=1"):
        loop.train(config, tmp_path, Console(quiet=True))
    assert settings.load(tmp_path).epochs == 2


def test_a_run_is_reopened_on_its_mesh_or_one_that_fits(tmp_path):
    config = digits_ikl_at.get_config("quick")
    config.mesh, config.batch_size, config.evaluation.batch_size = (2, 4), 60, 100
    config.model.classes_multiple_of = 4
    settings.claim(tmp_path / "run", config)
    reopened = run.reopen(tmp_path / "run")
    assert tuple(reopened.mesh.shape.values()) == (2, 4)
    assert reopened.config.evaluation.batch_size == 100
    # Of another machine, whose devices divided the last batch of an epoch too.
    config.mesh, config.data.drop_remainder = (3, 1), False
    settings.record(tmp_path / "run", config)
    reopened = run.reopen(tmp_path / "run")
    assert tuple(reopened.mesh.shape.values()) == (8, 1)
    assert reopened.config.evaluation.batch_size == 96


def test_every_example_in_memory_is_in_the_fingerprint():
    images, labels = small_images(channels=1)
    images, labels = np.tile(images, (4, 1, 1, 1)), np.tile(labels, 4)

    def text(labels):
        part = InMemory(images, labels)
        rows = View(part, np.arange(500))
        return fingerprint(DataSet(rows, part, 4, (12, 12, 1)))

    expected = text(labels)
    for changed in (0, 251, 499):
        other = labels.copy()
        other[changed] = 3 - other[changed]
        assert text(other) != expected
    assert text(labels.copy()) == expected


@pytest.mark.long
def test_a_data_set_may_move_but_not_change(tmp_path):
    def write(first_label, name="data.npz"):
        images, labels = small_images()
        labels[0] = first_label
        np.savez(
            tmp_path / name, x_train=images[:96], y_train=labels[:96],
            x_test=images[96:], y_test=labels[96:],
        )  # fmt: skip

    config = digits_ikl_at.get_config("natural,quick")
    config.data.source, config.epochs = f"npz:{tmp_path / 'data.npz'}", 1
    write(0)
    loop.train(config, tmp_path / "run", Console(quiet=True))
    write(3)
    config.epochs = 2
    with pytest.raises(UserError, match="the data set has changed since step"):
        loop.train(config, tmp_path / "run", Console(quiet=True))
    write(0, "moved.npz")
    config.data.source = f"npz:{tmp_path / 'moved.npz'}"
    result = loop.train(config, tmp_path / "run", Console(quiet=True))
    assert (result["epochs"], result["dataset"]) == (2, config.data.source)


RESTORED = """
import pathlib, sys
from train.experiment import checksums, run

workdir = pathlib.Path(sys.argv[1])
state = run.newest_state(run.reopen(workdir), workdir, sys.exit)
print(int(state.step), sorted(checksums.digests(state).items()))
"""


@pytest.mark.slow
def test_saved_on_8_devices_and_gone_on_with_on_4_2_and_1(tmp_path):
    train(tmp_path / "8", "--config.epochs=1", devices=8)

    def restored(devices):
        done = subprocess.run(
            [sys.executable, "-c", RESTORED, tmp_path / "8"],
            cwd=ROOT, env=environment(devices), capture_output=True, text=True,
            timeout=200, check=True,
        )  # fmt: skip
        return done.stdout

    expected = restored(8)
    assert expected.startswith("22 ")
    assert "params" in expected
    for devices in (4, 2, 1):
        assert restored(devices) == expected
        workdir = tmp_path / str(devices)
        shutil.copytree(tmp_path / "8", workdir)
        done = train(workdir, devices=devices)
        assert "at step 22" in done.stdout
        assert result_of(workdir)["steps"] == 44
