"""Checkpoints that are damaged, and runs that are stopped, changed or spread out."""

import os
import signal
import socket
import subprocess
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from configs import digits_ikl_at
from tests.conftest import ROOT, small_images
from tests.test_cli import QUICK, command, environment, metrics_of, train
from train import checkpoint, evaluate, loop, run, settings, sharding
from train.errors import UserError
from train.preemption import Preempted, Watch

STEADY = (  # an attack whose steps do not depend on the signs of tiny gradients
    "--config.attack.loss=cross_entropy", "--config.attack.norm=l2",
    "--config.attack.epsilon=0.5", "--config.awp.gamma=0.005",
    "--config.averaging.every=step",
)  # fmt: skip


def tree_on(mesh):
    tree = {
        "a": jnp.arange(24.0).reshape(8, 3),
        "b": jnp.ones((16, 16), jnp.bfloat16),
        "key": jax.random.key(3),
        "flag": jnp.array([True, False]),
        "noise": jax.random.bits(jax.random.key(0), (64, 1024)),  # most of the file
    }
    places = sharding.state_shardings(mesh, tree, num_classes=3, fsdp=False)
    return jax.device_put(tree, places)


def saved_in(folder, *steps):
    checkpoints = checkpoint.Checkpoints(folder, keep=3)
    tree = tree_on(sharding.create_mesh())
    for step in steps:
        checkpoints.save(step, tree, {"pending": [0.1, step]})
    checkpoints.wait()
    return checkpoints, tree


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


@pytest.mark.parametrize("damage", [flip_a_byte, truncate])
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


def test_a_changed_position_is_noticed(tmp_path):
    checkpoints, tree = saved_in(tmp_path / "run", 1, 2)
    (path,) = (tmp_path / "run" / "2" / "position").glob("metadata")
    path.write_text(path.read_text().replace("0.1", "0.2"))
    saved = checkpoints.restore(tree, lambda text: None)
    assert saved is not None
    assert saved.step == 1
    checkpoints.close()


def test_digests_see_every_bit_and_no_mesh():
    tree = tree_on(sharding.create_mesh((8, 1)))
    expected = checkpoint.digests(tree)
    places = {
        "a": ("data", None),
        "b": ("data", "model"),
        "key": (),
        "flag": ("model",),
        "noise": (),
    }
    mesh = sharding.create_mesh((4, 2))
    spread = {
        name: jax.device_put(tree[name], jax.NamedSharding(mesh, jax.P(*places[name])))
        for name in tree
    }
    assert checkpoint.digests(spread) == expected
    bits = np.asarray(tree["a"]).view(np.uint32)
    for entry, bit in ((0, 0), (5, 31), (23, 17)):
        changed = bits.copy()
        changed.reshape(-1)[entry] ^= np.uint32(1 << bit)
        other = tree | {
            "a": jax.device_put(changed.view(np.float32), tree["a"].sharding)
        }
        found = checkpoint.digests(other)
        assert {
            name for name in tree if found[f"['{name}']"] != expected[f"['{name}']"]
        } == {"a"}


@pytest.mark.parametrize(
    ("shape", "expected"), [((-1, 1), (8, 1)), ((2, -1), (2, 4)), ((4, 2), (4, 2))]
)
def test_meshes(shape, expected):
    assert tuple(sharding.create_mesh(shape).shape.values()) == expected


@pytest.mark.parametrize("shape", [(3, 2), (-1, 3), (-1, -1), (8,), (0, 8)])
def test_meshes_that_do_not_fit(shape):
    with pytest.raises(UserError, match="product 8, the number of devices"):
        sharding.create_mesh(shape)


def test_restored_on_another_mesh_and_trained_on(tmp_path):
    config = digits_ikl_at.get_config("quick")
    config.epochs = 1
    loop.train(config, tmp_path, Console(quiet=True))
    before = run.newest_state(run.build(config), tmp_path, print)
    config.mesh, config.fsdp, config.epochs = (4, 2), True, 2
    again = run.build(config)
    after = run.newest_state(again, tmp_path, print)
    for ours, theirs in zip(
        jax.tree.leaves(after.params), jax.tree.leaves(before.params), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    assert after.class_means.mean.sharding.spec == jax.P(None, "model")
    divided = [leaf.sharding.spec for leaf in jax.tree.leaves(after.params)]
    assert any("data" in spec for spec in divided)
    assert loop.train(config, tmp_path, Console(quiet=True))["steps"] == 44
    config.epochs = 1
    with pytest.raises(UserError, match="at step 44 already, beyond epochs=1"):
        loop.train(config, tmp_path, Console(quiet=True))
    assert settings.load(tmp_path).epochs == 2


def test_a_data_set_that_has_changed(tmp_path):
    def write(first_label):
        images, labels = small_images()
        labels[0] = first_label
        np.savez(
            tmp_path / "data.npz", x_train=images[:96], y_train=labels[:96],
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


def test_sigterm_saves_in_the_middle_of_an_epoch_and_loses_nothing(tmp_path):
    changed = ("--config.epochs=6", "--config.awp.gamma=0.005", "--config.log_every=4")
    train(tmp_path / "whole", *changed)
    stopped = tmp_path / "stopped"
    process = subprocess.Popen(
        command(f"--config={QUICK}", f"--workdir={stopped}", *changed),
        cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    metrics, deadline = stopped / "metrics.jsonl", time.monotonic() + 120
    while not metrics.exists() or metrics.read_text().count("\n") < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 75, errors
    assert errors.endswith("error: stopped by SIGTERM; the same command goes on\n")
    assert not (stopped / "result.json").exists()
    train(stopped, *changed)
    assert metrics_of(stopped) == metrics_of(tmp_path / "whole")


@pytest.mark.parametrize("calls", [3, 6])
def test_stopped_in_an_evaluation(tmp_path, monkeypatch, calls):
    """The one after the first epoch, and the last; each has three batches."""
    config = digits_ikl_at.get_config("quick")
    config.evaluation.batch_size = 128
    loop.train(config, tmp_path / "whole", Console(quiet=True))
    asked = []

    def check(_: Watch) -> None:
        asked.append(None)
        if len(asked) == calls:
            raise Preempted

    monkeypatch.setattr(Watch, "check", check)
    with pytest.raises(Preempted):
        loop.train(config, tmp_path / "stopped", Console(quiet=True))
    monkeypatch.undo()
    assert not (tmp_path / "stopped" / "result.json").exists()
    loop.train(config, tmp_path / "stopped", Console(quiet=True))
    assert metrics_of(tmp_path / "stopped") == metrics_of(tmp_path / "whole")


def test_killed_between_the_last_evaluation_and_the_result(tmp_path):
    config = digits_ikl_at.get_config("quick")
    loop.train(config, tmp_path, Console(quiet=True))
    before = metrics_of(tmp_path)
    (tmp_path / "result.json").unlink()
    loop.train(config, tmp_path, Console(quiet=True))
    assert metrics_of(tmp_path) == before


def test_a_run_of_an_older_version(tmp_path, capsys):
    (tmp_path / "config.json").write_text('{"recipe": "adversarial"}')
    assert evaluate.main(["evaluate", f"--workdir={tmp_path}"]) == 1
    assert "the config lacks data.evaluate_on" in capsys.readouterr().err


def test_a_full_disk_leaves_the_earlier_checkpoint(tmp_path):
    """Stood in for by a limit on the size of files, which a checkpoint's exceed."""
    more = "--config.epochs=3"
    train(tmp_path, "--config.epochs=1")
    cacheless = {k: v for k, v in environment().items() if "CACHE" not in k}
    full = subprocess.run(
        ["bash", "-c", 'ulimit -f 16 && exec "$@"', "full",
         *command(f"--config={QUICK}", f"--workdir={tmp_path}", more)],
        cwd=ROOT, env=cacheless, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert full.returncode == 1
    (error,) = [line for line in full.stderr.splitlines() if line.startswith("error: ")]
    assert "cannot save to" in error
    resumed = train(tmp_path, more)
    assert "at step 22" in resumed.stdout


def together(workdir, *overrides, each=((), ())):
    """Two processes of four devices each; what they return and print to stderr."""
    return outcome(started(workdir, *overrides, each=each), timeout=200)


def started(workdir, *overrides, each=((), ())):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return [
        subprocess.Popen(
            command(
                f"--config={QUICK}", f"--workdir={workdir}",
                f"--coordinator=127.0.0.1:{port}", "--num_processes=2",
                f"--process_id={index}", "--heartbeat_timeout=30",
                *overrides, *each[index],
            ),
            cwd=ROOT, env=environment(devices=4) | {"PYTHONWARNINGS": "default"},
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        for index in range(2)
    ]  # fmt: skip


def outcome(processes, *, timeout):
    """Their exit codes and what they printed to stderr; none is left running."""
    try:
        errors = [process.communicate(timeout=timeout)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [process.returncode for process in processes], errors


def test_two_processes_train_as_one_device(tmp_path):
    train(tmp_path / "one", *STEADY)
    codes, errors = together(tmp_path / "two", *STEADY)
    assert codes == [0, 0], errors
    one, two = metrics_of(tmp_path / "one"), metrics_of(tmp_path / "two")
    assert [line["step"] for line in one] == [line["step"] for line in two]
    for expected, line in zip(one, two, strict=True):
        if "loss" in expected:
            assert line["loss"] == pytest.approx(expected["loss"], rel=1e-4)


@pytest.mark.slow
def test_one_of_two_processes_dies(tmp_path):
    """The other says so and ends within the heartbeat timeout and a margin."""
    workdir = tmp_path / "run"
    processes = started(workdir, "--config.epochs=200")
    metrics, deadline = workdir / "metrics.jsonl", time.monotonic() + 120
    while not metrics.exists() or metrics.read_text().count("\n") < 5:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    processes[1].kill()
    codes, errors = outcome(processes, timeout=60)
    assert codes[0] == 1
    assert "error: another process may be gone" in errors[0]


def test_processes_with_different_configs(tmp_path):
    codes, errors = together(tmp_path / "run", each=((), ("--config.seed=7",)))
    assert all(code not in (0, None) for code in codes)
    assert "seed is 0 on process 0 and 7 here" in errors[1]
    assert not os.path.exists(tmp_path / "run")
