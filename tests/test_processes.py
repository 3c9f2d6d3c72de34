"""Several processes: the losses of one, and an end for all when one is gone."""

import os
import signal
import time

import pytest

from tests.commands import metrics_of, outcome, started, together, train

STEADY = (  # an attack whose steps do not depend on the signs of tiny gradients
    "--config.attack.loss=cross_entropy", "--config.attack.norm=l2",
    "--config.attack.epsilon=0.5", "--config.awp.gamma=0.005",
    "--config.averaging.every=step", "--config.epochs=3",
)  # fmt: skip


def test_two_processes_train_as_one_device(tmp_path):
    """The losses of the first 50 steps."""
    train(tmp_path / "one", *STEADY)
    codes, errors = together(tmp_path / "two", *STEADY)
    assert codes == [0, 0], errors
    one, two = metrics_of(tmp_path / "one"), metrics_of(tmp_path / "two")
    assert [line["step"] for line in one] == [line["step"] for line in two]
    for expected, line in zip(one, two, strict=True):
        if "loss" in expected and line["step"] <= 50:
            assert line["loss"] == pytest.approx(expected["loss"], rel=1e-4)


@pytest.mark.slow
def test_one_of_two_processes_dies(tmp_path):
    """The other ends within the heartbeat timeout and a margin, and says why.

    Which of the two notices first, a collective that breaks or the heartbeat, is chance;
    the JAX runtime then ends the process itself, with SIGABRT.
    """
    workdir = tmp_path / "run"
    processes = started(workdir, "--config.epochs=200")
    metrics, deadline = workdir / "metrics.jsonl", time.monotonic() + 120
    while not metrics.exists() or metrics.read_text().count("\n") < 5:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    processes[1].kill()
    codes, errors = outcome(processes, timeout=60)
    noticed = {
        1: "error: another process may be gone",
        -signal.SIGABRT: "Terminating process because the JAX distributed service",
    }
    assert codes[0] in noticed
    assert noticed[codes[0]] in errors[0]


def test_processes_with_different_configs(tmp_path):
    codes, errors = together(tmp_path / "run", each=((), ("--config.seed=7",)))
    assert all(code not in (0, None) for code in codes)
    assert "seed is 0 on process 0 and 7 here" in errors[1]
    assert not os.path.exists(tmp_path / "run")
