"""Several processes: the losses of one, and an end for all when one is gone."""

import os
import signal
import time

import numpy as np
import pytest
from sklearn.datasets import load_digits

from tests.conftest import small_images
from tests.support.commands import metrics_of, outcome, started, together, train
from tests.support.parts import convert, write_part

STEADY = (  # an attack whose steps do not depend on the signs of tiny gradients
    "--config.attack.loss=cross_entropy", "--config.attack.norm=l2",
    "--config.attack.epsilon=0.5", "--config.awp.gamma=0.005",
    "--config.averaging.every=step", "--config.epochs=3",
)  # fmt: skip


def check_same_losses(tmp_path, *overrides):
    """One device and two processes of four, in the first 50 steps."""
    train(tmp_path / "one", *overrides)
    codes, errors = together(tmp_path / "two", *overrides)
    assert codes == [0, 0], errors
    one, two = metrics_of(tmp_path / "one"), metrics_of(tmp_path / "two")
    assert [line["step"] for line in one] == [line["step"] for line in two]
    for expected, line in zip(one, two, strict=True):
        if "loss" in expected and line["step"] <= 50:
            assert line["loss"] == pytest.approx(expected["loss"], rel=1e-4)


@pytest.mark.slow
def test_two_processes_train_as_one_device(tmp_path):
    check_same_losses(tmp_path, *STEADY)


@pytest.mark.slow
def test_two_processes_read_synthetic_images_as_one_device(tmp_path):
    digits = load_digits()
    images = np.uint8(digits.images[:500, ..., None] * (255 / 16))
    write_part(tmp_path / "part.npz", images, digits.target[:500])
    assert convert(tmp_path / "part.npz", tmp_path / "shards") == 0
    check_same_losses(
        tmp_path, *STEADY, f"--config.data.synthetic={tmp_path / 'shards'}",
        "--config.data.synthetic_ratio=0.7",
    )  # fmt: skip


def wait_for_lines(path, count):
    deadline = time.monotonic() + 200
    while not path.exists() or path.read_text().count("\n") < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
def test_one_of_two_processes_dies(tmp_path):
    """The other ends within the heartbeat timeout and a margin, and says why.

    Which of the two notices first, a collective that breaks or the heartbeat, is chance;
    the JAX runtime then ends the process itself, with SIGABRT.
    """
    workdir = tmp_path / "run"
    processes = started(workdir, "--config.epochs=200")
    wait_for_lines(workdir / "metrics.jsonl", 5)
    processes[1].kill()
    codes, errors = outcome(processes, timeout=60)
    noticed = {
        1: "error: another process may be gone",
        -signal.SIGABRT: "Terminating process because the JAX distributed service",
    }
    assert codes[0] in noticed
    assert noticed[codes[0]] in errors[0]


@pytest.mark.long
def test_processes_with_different_configs(tmp_path):
    codes, errors = together(tmp_path / "run", each=((), ("--config.seed=7",)))
    assert all(code not in (0, None) for code in codes)
    assert "seed is 0 on process 0 and 7 here" in errors[1]
    assert not os.path.exists(tmp_path / "run")


@pytest.mark.long
def test_processes_with_different_data(tmp_path):
    images, labels = small_images()
    for process, answers in enumerate((labels, labels[::-1])):
        np.savez(
            tmp_path / f"{process}.npz", x_train=images, y_train=answers,
            x_test=images, y_test=labels,
        )  # fmt: skip
    # The same name of a file, which is another on each.
    homes = [tmp_path / "home0", tmp_path / "home1"]
    for process, home in enumerate(homes):
        home.mkdir()
        (tmp_path / f"{process}.npz").rename(home / "data.npz")
    source = "--config.data.source=npz:~/data.npz"
    processes = started(
        tmp_path / "run", source, variables=[{"HOME": str(home)} for home in homes]
    )
    codes, errors = outcome(processes, timeout=100)
    assert all(code not in (0, None) for code in codes)
    assert "the processes have different data: 4 classes" in errors[1]


@pytest.mark.slow
@pytest.mark.parametrize("told", [0, 1])
def test_sigterm_to_one_of_two_processes(tmp_path, told):
    """Both stop at the same step, and exit with the code for a requeue."""
    workdir = tmp_path / "run"
    processes = started(workdir, "--config.epochs=8")
    wait_for_lines(workdir / "metrics.jsonl", 3)
    processes[told].send_signal(signal.SIGTERM)
    codes, errors = outcome(processes, timeout=100)
    assert codes == [75, 75], errors
    codes, errors = together(workdir, "--config.epochs=8")
    assert codes == [0, 0], errors
    assert metrics_of(workdir)[-1]["step"] == 8 * 22
