"""Recipes through the real command line, on real data, as a user runs them."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.conftest import ROOT, write_idx

DIGITS = "configs/digits_ikl_at.py"
QUICK = f"{DIGITS}:quick"


def command(*arguments, module="train"):
    return [sys.executable, "-m", module, *arguments]


def environment(devices=1):
    cache = {
        "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".cache" / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.2",
    }
    flags = {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
    return os.environ | cache | flags | {"COLUMNS": "200"}


def run(*arguments, module="train", devices=1):
    return subprocess.run(
        command(*arguments, module=module), cwd=ROOT, env=environment(devices),
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def train(workdir, *overrides, config=QUICK, devices=1):
    done = run(
        f"--config={config}", f"--workdir={workdir}", *overrides, devices=devices
    )
    assert done.returncode == 0, done.stderr
    return done


def result_of(workdir):
    return json.loads((workdir / "result.json").read_text())


def metrics_of(workdir):
    """The lines of metrics.jsonl, without the times."""
    text = (workdir / "metrics.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished quick run on the digits, and what it printed."""
    workdir = tmp_path_factory.mktemp("runs") / "digits"
    return workdir, train(workdir)


def test_a_run_leaves_what_the_docs_say(finished):
    workdir, done = finished
    names = {path.name for path in workdir.iterdir()}
    assert names == {
        "config.json", "metrics.jsonl", "tensorboard", "checkpoints", "best",
        "result.json", "examples.png",
    }  # fmt: skip
    result = result_of(workdir)
    assert result["config"] == "digits_ikl_at:quick"
    assert result["dataset"] == "digits"
    assert (result["epochs"], result["steps"]) == (2, 44)
    assert result["num_examples"] == 360
    assert result["seconds"] > 0
    assert set(result["robust_accuracy"]) == {"pgd5"}
    assert 0 < result["robust_accuracy"]["pgd5"] < result["natural_accuracy"]
    assert set(result["versions"]) == {"python", "jax", "flax", "ikl_jax"}
    lines = metrics_of(workdir)
    assert [line["step"] for line in lines] == [10, 20, 22, 22, 30, 40, 44, 44]
    evaluated = [line for line in lines if "eval_robust_accuracy" in line]
    assert [line["step"] for line in evaluated] == [22, 44]
    assert evaluated[-1]["eval_robust_accuracy"] == result["robust_accuracy"]["pgd5"]
    assert all(np.isfinite(list(line.values())).all() for line in lines)
    assert "epoch   2/2" in done.stdout
    assert "pgd5" in done.stdout
    assert done.stderr == ""
    assert (workdir / "examples.png").read_bytes().startswith(b"\x89PNG")
    assert list((workdir / "tensorboard").iterdir())


def test_a_finished_run_is_not_run_again(finished):
    workdir, _ = finished
    before = {path: path.stat().st_mtime_ns for path in workdir.iterdir()}
    done = train(workdir)
    assert f"{workdir} is finished" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in workdir.iterdir()} == before


def test_another_config_is_refused_and_nothing_overwritten(finished):
    workdir, _ = finished
    before = {path: path.stat().st_mtime_ns for path in workdir.rglob("*")}
    done = run(f"--config={QUICK}", f"--workdir={workdir}", "--config.loss.alpha=3.0")
    assert done.returncode == 1
    assert (
        "holds another config's run: loss.alpha is 10.0 there and 3.0 here"
        in done.stderr
    )
    assert done.stderr.count("\n") == 1
    assert {path: path.stat().st_mtime_ns for path in workdir.rglob("*")} == before


def test_evaluate_and_compare(finished):
    workdir, _ = finished
    arguments = [
        f"--workdir={workdir}",
        "--steps=7",
        "--restarts=2",
        "--num_examples=100",
    ]
    done = run(*arguments, module="train.evaluate")
    assert done.returncode == 0, done.stderr
    l2 = run(
        f"--workdir={workdir}", "--norm=l2", "--epsilon=0", "--weights=last",
        module="train.evaluate",
    )  # fmt: skip
    assert l2.returncode == 0, l2.stderr
    plain = run(f"--workdir={workdir}", module="train.evaluate")
    assert plain.returncode == 0, plain.stderr
    assert plain.stderr == ""

    evaluations = json.loads((workdir / "evaluation.json").read_text())
    repeated = evaluations["pgd7x2 at 0.12, averaged weights"]
    assert repeated["num_examples"] == 100
    assert set(repeated["robust_accuracy"]) == {"pgd7x2"}
    nothing = evaluations["pgd5_l2 at 0, last weights"]
    assert nothing["robust_accuracy"]["pgd5_l2"] == nothing["natural_accuracy"]
    again, result = evaluations["pgd5 at 0.12, averaged weights"], result_of(workdir)
    for name in ("natural_accuracy", "robust_accuracy", "num_examples"):
        assert again[name] == result[name]

    compared = run(str(workdir), module="train.compare")
    assert compared.returncode == 0
    assert "digits (test)" in compared.stdout


def wait_for(condition, process, seconds=120):
    limit = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < limit
        time.sleep(0.02)


def test_a_killed_run_resumes_to_the_identical_result(tmp_path):
    """SIGKILL after the first checkpoint; then the same command."""
    long = ("--config.epochs=8", "--config.checkpoint_every=2")
    train(tmp_path / "whole", *long)
    arguments = command(f"--config={QUICK}", f"--workdir={tmp_path / 'killed'}", *long)
    process = subprocess.Popen(
        arguments, cwd=ROOT, env=environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    checkpoints = tmp_path / "killed" / "checkpoints"
    wait_for(lambda: (checkpoints / "44").is_dir(), process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "killed" / "result.json").exists()

    resumed = train(tmp_path / "killed", *long)
    assert "resuming" in resumed.stdout
    assert metrics_of(tmp_path / "killed") == metrics_of(tmp_path / "whole")
    whole, killed = (result_of(tmp_path / name) for name in ("whole", "killed"))
    for result in (whole, killed):
        del result["seconds"]
    assert killed == whole


def test_supervised_training(tmp_path):
    train(tmp_path / "run", config=f"{DIGITS}:natural,quick")
    assert result_of(tmp_path / "run")["natural_accuracy"] > 0.5


def test_eight_devices_train_as_one_does(finished, tmp_path):
    """The whole loop; sums in another order part the two slowly, attacks faster."""
    one, _ = finished
    train(tmp_path / "run", devices=8)
    first, eight = (metrics_of(folder)[:3] for folder in (one, tmp_path / "run"))
    for line, expected in zip(eight, first, strict=True):
        assert line["loss"] == pytest.approx(expected["loss"], rel=2e-2)


@pytest.mark.parametrize("loss", ["kl", "dkl", "ikl", "gkl"])
def test_the_fashion_mnist_config_on_files_of_its_format(tmp_path, loss):
    write_idx(tmp_path)
    train(
        tmp_path / "run", f"--config.data.source=idx:{tmp_path}",
        "--config.batch_size=32", "--config.evaluation.batch_size=32",
        config=f"configs/fashion_mnist_at.py:quick,loss={loss},strength=2",
    )  # fmt: skip
    assert result_of(tmp_path / "run")["steps"] == 3


@pytest.mark.slow
def test_the_demo_reaches_what_the_readme_says(tmp_path):
    train(tmp_path / "ikl", config=DIGITS)
    train(tmp_path / "natural", config=f"{DIGITS}:natural")
    ikl, natural = (result_of(tmp_path / name) for name in ("ikl", "natural"))
    assert ikl["natural_accuracy"] > 0.93
    assert ikl["robust_accuracy"]["pgd20"] > 0.75
    assert natural["robust_accuracy"]["pgd20"] < 0.3
