"""Recipes through the real command line, on real data, as a user runs them."""

import json
import shutil

import numpy as np
import pytest

from tests.conftest import cases, write_idx
from tests.support.commands import DIGITS, QUICK, metrics_of, result_of, run, train
from tests.support.shared import made_once
from train import cli, compare, evaluate


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A finished quick run on the digits, and what it printed: stdout and stderr."""

    def make(folder):
        folder.mkdir()
        done = train(folder / "run")
        (folder / "printed.json").write_text(json.dumps([done.stdout, done.stderr]))

    folder = made_once(tmp_path_factory, "digits", make)
    return folder / "run", *json.loads((folder / "printed.json").read_text())


def test_a_run_leaves_what_the_docs_say(finished):
    workdir, stdout, stderr = finished
    names = {path.name for path in workdir.iterdir()}
    assert names == {
        "config.json", "metrics.jsonl", "tensorboard", "checkpoints", "result.json",
        "examples.png",
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
    drifts = {
        x["step"]: x["class_mean_drift"] for x in lines if "class_mean_drift" in x
    }
    assert list(drifts) == [22, 44]  # the ends of the epochs
    assert all(0 < drift < 1 for drift in drifts.values())
    assert "epoch   2/2" in stdout
    assert "pgd5" in stdout
    assert stderr == ""
    assert (workdir / "examples.png").read_bytes().startswith(b"\x89PNG")
    assert list((workdir / "tensorboard").iterdir())


def test_a_finished_run_is_not_run_again(finished, capsys):
    workdir, *_ = finished
    before = {path: path.stat().st_mtime_ns for path in workdir.iterdir()}
    assert cli.main(["train", f"--config={QUICK}", f"--workdir={workdir}"]) == 0
    assert f"{workdir} is finished" in capsys.readouterr().out.replace("\n", "")
    assert {path: path.stat().st_mtime_ns for path in workdir.iterdir()} == before


def test_another_config_is_refused_and_nothing_overwritten(finished, capsys):
    workdir, *_ = finished
    before = {path: path.stat().st_mtime_ns for path in workdir.rglob("*")}
    given = (f"--config={QUICK}", f"--workdir={workdir}", "--config.loss.alpha=3.0")
    assert cli.main(["train", *given]) == 1
    error = capsys.readouterr().err
    assert "holds another config's run: loss.alpha is 10.0 there and 3.0 here" in error
    assert error.count("\n") == 1
    assert {path: path.stat().st_mtime_ns for path in workdir.rglob("*")} == before


def test_evaluate_and_compare(finished, tmp_path, capsys):
    workdir = tmp_path / "run"
    shutil.copytree(finished[0], workdir)
    plain = run(f"--workdir={workdir}", module="train.evaluate")
    assert plain.returncode == 0, plain.stderr
    assert plain.stderr == ""
    for arguments in (
        ("--steps=7", "--restarts=2", "--num_examples=100"),
        ("--norm=l2", "--epsilon=0", "--weights=last"),
        ("--weights=best",),
    ):
        assert evaluate.main(["evaluate", f"--workdir={workdir}", *arguments]) == 0

    evaluations = json.loads((workdir / "evaluation.json").read_text())
    again, repeated, nothing, best = evaluations.values()
    assert list(evaluations)[1].startswith(
        "pgd7x2 at 0.12, averaged weights of step 44, 100 of 360 examples ("
    )
    assert repeated["num_examples"] == 100
    assert set(repeated["robust_accuracy"]) == {"pgd7x2"}
    assert nothing["weights"] == "last"
    assert nothing["robust_accuracy"]["pgd5_l2"] == nothing["natural_accuracy"]
    result = result_of(workdir)
    for name in (
        "natural_accuracy",
        "robust_accuracy",
        "num_examples",
        "weights_checksum",
        "data_fingerprint",
        "dtype",
        "worst_classes",
        "most_confused",
    ):
        assert again[name] == result[name]
    # Of any epoch, the last one too; so few examples are all evaluated in training.
    assert best["weights"] == "best"
    logged = [line for line in metrics_of(workdir) if "eval_robust_accuracy" in line]
    expected = max(logged, key=lambda line: line["eval_robust_accuracy"])
    assert best["step"] == expected["step"]
    assert best["robust_accuracy"]["pgd5"] == expected["eval_robust_accuracy"]

    assert compare.main([str(workdir)]) == 0
    assert "digits (test)" in capsys.readouterr().out


@pytest.mark.slow
def test_supervised_training(tmp_path):
    train(tmp_path / "run", config=f"{DIGITS}:natural,quick")
    assert result_of(tmp_path / "run")["natural_accuracy"] > 0.5


@pytest.mark.slow
def test_eight_devices_train_as_one_does(finished, tmp_path):
    """The whole loop; sums in another order part the two slowly, attacks faster."""
    one, *_ = finished
    train(tmp_path / "run", devices=8)
    first, eight = (metrics_of(folder)[:3] for folder in (one, tmp_path / "run"))
    for line, expected in zip(eight, first, strict=True):
        assert line["loss"] == pytest.approx(expected["loss"], rel=2e-2)


@pytest.mark.long
@pytest.mark.parametrize("loss", cases(["kl", "dkl", "ikl", "gkl"], quick=["ikl"]))
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
