"""Trials, one after another: pruned, failed, killed, told, by one process or several."""

import json
import signal
import threading

import pytest

from tests.train.search.support import CONFIG, stand_in, wanted
from train.base.errors import UserError
from train.devices.preemption import Preempted
from train.search import found, outputs, studies, trials, tuning


@pytest.fixture(autouse=True)
def _stand_ins(monkeypatch):
    monkeypatch.setattr(tuning, "train_arguments", stand_in)
    monkeypatch.setattr(tuning, "POLL", 0.02)


def search(asked):
    said = []
    study = studies.opened(asked)
    tuning.search(study, asked, CONFIG, said.append)
    return found.of(study, asked), said


def starts(workdir, name):
    return (workdir / "trials" / name / "starts").read_text().split()


def test_a_search_ends_with_all_its_trials(tmp_path):
    asked = wanted(tmp_path, trials=3)
    shown, said = search(asked)
    assert [each["state"] for each in shown["trials"]] == ["finished"] * 3
    for each in shown["trials"]:
        assert each["robust"] == pytest.approx(each["values"]["loss.alpha"] / 100)
        assert each["natural"] == pytest.approx(0.9 - each["robust"] / 2)
    best = max(shown["trials"], key=lambda each: each["robust"])
    assert shown["best"] == [best["folder"]]
    assert len(said) == 3
    assert f"robust {100 * best['robust']:.1f} %" in " ".join(said)
    again, said = search(wanted(tmp_path, trials=4))
    assert again["trials"][:3] == shown["trials"]
    assert len(said) == 1


@pytest.mark.long
def test_a_trial_below_the_median_ends_early(tmp_path, monkeypatch):
    monkeypatch.setattr(studies, "FIRST_TRIALS", 2)
    asked = wanted(tmp_path, trials=3)
    study = studies.opened(asked)
    monkeypatch.setenv("STAND_IN_EPOCH", "0.3")
    for alpha in (30.0, 20.0, 2.0):
        study.enqueue_trial({"loss.alpha": alpha, "loss.beta": 1.0})
    tuning.search(study, asked, CONFIG, print)
    shown = found.of(study, asked)["trials"]
    assert [each["state"] for each in shown] == ["finished", "finished", "pruned"]
    assert (shown[2]["epoch"], shown[2]["robust"]) == (1, 0.02)
    assert "natural" not in shown[2]
    assert not (tmp_path / "trials" / "0002" / "result.json").exists()


def test_pruning_looks_at_each_evaluation_once_and_not_at_the_last(tmp_path):
    class Trial:
        reports = ()

        def report(self, value, step):
            Trial.reports += ((value, step),)

        def should_prune(self):
            return len(self.reports) == 3

    asked = wanted(tmp_path, trials=1)
    ended = trials.Pruning(Trial(), tmp_path, asked)
    assert not ended()
    lines = [{"step": 1, "loss": 2.0}]
    lines += [{"step": n, "eval_robust_accuracy": n / 10} for n in (1, 2, 3, 4)]
    for count, expected in ((2, 1), (3, 2), (3, 2), (2, 2), (4, 3), (5, 3)):
        text = "".join(json.dumps(line) + "\n" for line in lines[:count])
        (tmp_path / "metrics.jsonl").write_text(text + '{"step": 9, "eval_rob')
        assert ended() == (expected == 3)
        assert len(Trial.reports) == expected
    assert Trial.reports == ((0.1, 1), (0.2, 2), (0.3, 3))


def test_a_failed_trial_says_why_and_the_search_goes_on(tmp_path, monkeypatch):
    code = "if folder.name == '0001': sys.exit('error: the disk is full')"
    monkeypatch.setenv("STAND_IN", code)
    shown, said = search(wanted(tmp_path, trials=3))
    assert [e["state"] for e in shown["trials"]] == ["finished", "failed", "finished"]
    assert shown["trials"][1]["error"] == "the disk is full"
    assert "failed: the disk is full" in said[1]


def test_a_trial_that_diverges_counts_as_a_bad_one(tmp_path, monkeypatch):
    said = "error: a metric is not finite at step 3; nothing is saved yet"
    monkeypatch.setenv("STAND_IN", f"if folder.name == '0001': sys.exit('{said}')")
    shown, _ = search(wanted(tmp_path, trials=2))
    assert [each["state"] for each in shown["trials"]] == ["finished", "diverged"]
    assert "robust" not in shown["trials"][1]
    assert "not finite" in shown["trials"][1]["error"]


def test_a_search_of_which_every_trial_fails_ends(tmp_path, monkeypatch):
    monkeypatch.setenv("STAND_IN", "sys.exit('error: no such file')")
    with pytest.raises(UserError, match="first 3 trials all failed.*no such file"):
        search(wanted(tmp_path, trials=10))


def test_a_run_that_is_killed_goes_on_in_its_folder(tmp_path, monkeypatch):
    code = (
        "if folder.name == '0000' and len(open(folder / 'starts').read().split()) < 3:"
        " os.kill(os.getpid(), signal.SIGKILL)"
    )
    monkeypatch.setenv("STAND_IN", code)
    shown, said = search(wanted(tmp_path, trials=2))
    assert [each["state"] for each in shown["trials"]] == ["finished"] * 2
    assert [each["folder"] for each in shown["trials"]] == ["0000", "0003"]
    assert len(starts(tmp_path, "0000")) == 3
    assert sum("queued again" in each for each in said) == 2


def test_ctrl_c_ends_the_run_and_the_next_search_goes_on(tmp_path, monkeypatch):
    monkeypatch.setenv("STAND_IN_EPOCH", "0.5")
    asked = wanted(tmp_path, trials=1)
    study = studies.opened(asked)
    stop = threading.Timer(0.7, lambda: signal.raise_signal(signal.SIGINT))
    stop.start()
    with pytest.raises(Preempted):
        tuning.search(study, asked, CONFIG, print)
    monkeypatch.setenv("STAND_IN_EPOCH", "0")
    shown, _ = search(asked)
    assert [each["state"] for each in shown["trials"]] == ["finished"]
    assert starts(tmp_path, "0000") == ["start", "start"]


def test_several_objectives_give_a_front(tmp_path):
    asked = wanted(tmp_path, trials=4, objectives=("natural", "robust"), pruner="none")
    shown, _ = search(asked)
    # Here each accuracy falls as the other one rises, so no trial is worse than another.
    assert sorted(shown["best"]) == ["0000", "0001", "0002", "0003"]
    first, *_, last = (
        next(e for e in shown["trials"] if e["folder"] == name)
        for name in shown["best"]
    )
    assert first["natural"] > last["natural"]
    assert first["robust"] < last["robust"]


def test_what_a_search_leaves(tmp_path, capsys):
    from rich.console import Console

    from train import cli

    asked = wanted(tmp_path, trials=2)
    shown, _ = search(asked)
    outputs.write(studies.opened(asked), asked, Console(width=200))
    assert json.loads((tmp_path / "study.json").read_text()) == shown
    assert (tmp_path / "sensitivity.png").read_bytes()[:4] == b"\x89PNG"
    assert f"--config={tmp_path / 'best.py'}" in capsys.readouterr().out.replace(
        "\n", ""
    )
    best = next(e for e in shown["trials"] if e["folder"] == shown["best"][0])
    config = cli.config_flag.load(str(tmp_path / "best.py"))
    changed = trials.overrides(best["values"])
    expected = cli.config_flag.load("configs/base.py", changed)
    expected.update_from_flattened_dict(
        {"epochs": 4, "data.validation_size": 300, "data.evaluate_on": "validation"}
    )
    assert json.loads(config.to_json()) == json.loads(expected.to_json())
    tested = cli.config_flag.load(f"{tmp_path / 'best.py'}:test")
    assert tested.data.evaluate_on == "test"
    with pytest.raises(UserError, match="known: test"):
        cli.config_flag.load(f"{tmp_path / 'best.py'}:quick")
