"""What is judged, by what, and what is left of it: runs, files, AutoAttack."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.datasets import load_digits

from tests.support.evaluations import AUTOATTACK, ONE, evaluations, judge
from train import compare
from train.evaluation import records, target
from train.experiment import run as runs
from train.networks import converted


@pytest.mark.long
def test_autoattack_on_a_run(workdir, capsys):
    assert judge(f"--workdir={workdir}", *AUTOATTACK, "--version=apgd-ce,square") == 0
    ((name, result),) = evaluations(workdir).items()
    assert name.startswith(
        "autoattack apgd-ce+square (linf) at 0.02, averaged weights of step 44, 40 of 360 "
    )
    assert (result["num_examples"], result["norm"], result["step"]) == (40, "linf", 44)
    attacks = [stage["attack"] for stage in result["stages"]]
    assert attacks == ["apgd-ce", "square"]
    robust = result["robust_accuracy"]["autoattack_apgd-ce+square"]
    assert 0 < robust < result["natural_accuracy"]
    told = capsys.readouterr().out
    assert re.search(r"^robust_accuracy: autoattack_\S+ 0\.\d+$", told, re.M)
    assert re.search(r"^  attack square, robust_accuracy [\d.]+, seconds", told, re.M)
    assert "curve" not in told
    arrays = records.per_example(workdir, result)
    assert arrays["stages"].tolist() == attacks
    for stage, after in zip(result["stages"], arrays["robust_after"], strict=True):
        assert after.mean() == stage["robust_accuracy"]
    right = arrays["predicted"] == arrays["label"]
    assert right.mean() == result["natural_accuracy"]
    assert not (arrays["robust"] & ~right).any()
    np.testing.assert_array_equal(arrays["logits"].argmax(axis=1), arrays["predicted"])
    # At epsilon the curve is the result, or what FAB has found besides.
    curve = dict(zip(*result["curve"].values(), strict=True))
    assert list(curve)[:2] == [0.0, 0.002]
    assert max(curve) == 0.04
    assert curve[0.0] == result["natural_accuracy"]
    assert robust - 0.05 <= curve[0.02] <= robust
    assert list(curve.values()) == sorted(curve.values(), reverse=True)
    assert (workdir / "autoattack.png").read_bytes().startswith(b"\x89PNG")

    assert compare.main([str(workdir)]) == 0
    shown = capsys.readouterr().out
    assert f"{100 * robust:.1f}% (of 40)" in shown


@pytest.mark.long
def test_where_nothing_fell_the_picture_is_the_curve_alone(workdir):
    given = (f"--workdir={workdir}", "--attack=autoattack", "--version=square")
    assert judge(*given, "--epsilon=1e-7", "--num_examples=4") == 0
    (result,) = evaluations(workdir).values()
    robust = result["robust_accuracy"]["autoattack_square"]
    assert robust == result["natural_accuracy"] > 0
    assert (workdir / "autoattack.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.long
def test_a_converted_file_is_judged_as_the_run_that_it_is_of(workdir, tmp_path):
    opened = runs.reopen(workdir)
    weights = runs.newest_state(opened, workdir, print).evaluated
    saved = converted.Converted(
        opened.config.model.name, 10, None, jax.device_get(weights.variables)
    )
    path = tmp_path / "weights.npz"
    converted.write(path, saved)
    assert judge(f"--workdir={workdir}", *ONE) == 0
    assert judge(f"--weights={path}", "--source=digits", *ONE) == 0
    assert (
        judge(f"--weights={path}", "--model=cnn", "--source=digits", "--restarts=0")
        == 0
    )
    (ours,) = evaluations(workdir).values()
    theirs = evaluations(tmp_path / "weights")
    file, natural = theirs.values()
    assert (file["model"], file["dataset"]) == ("cnn", "digits")
    for field in ("robust_accuracy", "natural_accuracy", "num_examples", "notes"):
        assert file[field] == ours[field]
    assert (natural["attack"], natural["num_examples"]) == ("none", 360)
    assert file["weights_checksum"] == ours["weights_checksum"]
    assert (file["weights"], file["weights_file"]) == ("weights.npz", str(path))
    assert natural["weights_file"] == str(path)
    assert "weights_file" not in ours


def test_other_shots_are_another_evaluation(workdir):
    shots = lambda *given: target.of_run(workdir, None, {"evaluation.shots": given})
    first, second = shots(1, 5), shots(2, 5)
    assert first.arguments(8) == second.arguments(8)  # of balanced data: no groups
    for one in (first, second):
        one.config.data.train_list = "train.txt"
    assert first.arguments(8)["shots"] == [1, 5]
    assert second.arguments(8)["shots"] == [2, 5]


def test_compare_names_what_it_cannot_read(tmp_path, capsys):
    assert compare.main([str(tmp_path)]) == 1
    missing = capsys.readouterr().err.strip()
    assert re.search("^error: no finished run: there is no .*result.json$", missing)
    for name in ("evaluation.json", "result.json"):
        path = tmp_path / name
        path.write_text("{")
        assert compare.main([str(tmp_path)]) == 1
        assert capsys.readouterr().err.startswith(f"error: {path} cannot be read")
        path.unlink()


@pytest.mark.long
def test_each_evaluation_has_a_journal_of_its_own(workdir, capsys):
    for more in ((), ("--num_examples=20", "--weights=last")):
        assert judge(f"--workdir={workdir}", *ONE, *more) == 0
        assert "going on" not in capsys.readouterr().out
    assert judge(f"--workdir={workdir}", *ONE) == 0
    assert "going on after" in capsys.readouterr().out
    journals = [path.name for path in workdir.glob("*.journal")]
    assert len(journals) == 2
    assert all(name.startswith("autoattack-apgd-ce-linf-at-0.02-") for name in journals)


@pytest.mark.long
def test_another_seed_or_other_data_has_a_journal_and_a_record_of_its_own(
    workdir, tmp_path, capsys
):
    path = other_digits(tmp_path)
    for more in ((), ("--seed=1",), (f"--config.data.source=npz:{path}",)):
        assert judge(f"--workdir={workdir}", *ONE, *more) == 0
    assert "going on" not in capsys.readouterr().out
    assert len(list(workdir.glob("*.journal"))) == 3
    found = list(evaluations(workdir).values())
    assert [record["seed"] for record in found] == [0, 1, 0]
    assert [record["dataset"] for record in found] == [
        "digits",
        "digits",
        f"npz:{path}",
    ]
    assert len({record["per_example"] for record in found}) == 3


def other_digits(folder):
    digits, path = load_digits(), folder / "elsewhere.npz"
    images, labels = np.uint8(digits.images * (255 / 16)), digits.target
    np.savez(path, x_train=images, y_train=labels, x_test=images[:7], y_test=labels[:7])
    return path


@pytest.mark.long
def test_a_weaker_attack_on_fewer_examples_replaces_nothing(
    workdir, capsys, monkeypatch
):
    given = (f"--workdir={workdir}", "--epsilon=0.05")
    assert judge(*given) == 0
    assert judge(*given, "--relative_step_size=0.025", "--num_examples=64") == 0
    whole, part = evaluations(workdir).values()
    for record, count in ((whole, 360), (part, 64)):
        arrays = records.per_example(workdir, record)
        assert len(arrays["label"]) == record["num_examples"] == count
        assert arrays["robust"].mean() == record["robust_accuracy"]["pgd5"]
    assert whole["robust_accuracy"]["pgd5"] < part["robust_accuracy"]["pgd5"]
    capsys.readouterr()
    monkeypatch.setenv("COLUMNS", "200")
    assert compare.main([str(workdir)]) == 0
    drawn = capsys.readouterr().out
    for record, of_all in ((whole, ""), (part, " (of 64)")):
        assert f"{100 * record['robust_accuracy']['pgd5']:.1f}%{of_all} " in drawn
    for step_size in ("0.25ε", "0.025ε"):
        assert f"step {step_size}" in drawn


def test_what_cannot_be_written_is_printed(workdir, capsys):
    (workdir / "evaluations").write_text("in the way")
    assert judge(f"--workdir={workdir}", "--restarts=0") == 1
    shown = capsys.readouterr()
    assert re.search(r"^natural_accuracy: 0\.\d+$", shown.out, re.M)
    assert "error: cannot write" in shown.err
    (workdir / "evaluation.json").write_text("{")
    assert judge(f"--workdir={workdir}", "--restarts=0") == 1
    shown = capsys.readouterr()
    assert re.search(r"^natural_accuracy: 0\.\d+$", shown.out, re.M)
    warned, ended = shown.err.splitlines()  # before it began, and at the end
    assert re.match(r"warning: \S+/evaluation.json cannot be read", warned)
    assert re.match(r"error: \S+/evaluation.json cannot be read", ended)
    assert (workdir / "evaluation.json").read_text() == "{"


def test_fields_that_a_run_is_evaluated_with_otherwise(workdir, tmp_path):
    path = other_digits(tmp_path)
    given = (f"--workdir={workdir}", "--restarts=0")
    assert judge(*given, f"--config.data.source=npz:{path}") == 0
    ((name, judged),) = evaluations(workdir).items()
    assert name.startswith(f"natural, averaged weights of step 44 on npz:{path}, 7 ex")
    assert (judged["dataset"], judged["num_examples"]) == (f"npz:{path}", 7)
    changed = {"evaluation.batch_size": 8, "model.dtype": "bfloat16"}
    opened = target.of_run(workdir, "last", changed)
    assert opened.config.evaluation.batch_size == 8
    assert opened.model.dtype == jnp.bfloat16
    assert opened.name == "last weights of step 44 in bfloat16"
