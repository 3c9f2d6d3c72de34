"""Many runs, with commands of milliseconds in the place of real ones."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest

from tests.conftest import ROOT
from tests.support.results import config, measure, result
from train.base import files
from train.base.errors import UserError
from train.base.files import lock
from train.devices.preemption import Preempted
from train.evaluation import records
from train.experiment import settings
from train.search import folder, runs, slots, standing
from train.search.cells import Cell
from train.search.standing import Standing

# A run that does what its name says: `slow` waits for SIGTERM, and saves.
RUN = """
import json, os, pathlib, signal, sys, time
folder, fields, result = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
def stop(*_):
    (folder / "saved").touch()
    print("error: stopped by SIGTERM; the same command goes on")
    sys.exit(75)
signal.signal(signal.SIGTERM, stop)
folder.mkdir(exist_ok=True)
(folder / "config.json").write_text(fields)
print("cores", sorted(os.sched_getaffinity(0)), flush=True)
if "stubborn" in folder.name:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if ("slow" in folder.name or "stubborn" in folder.name) and not (folder / "saved").exists():
    (folder / "ready").touch()
    time.sleep(60)
if "failing" in folder.name:
    print("error: the loss is not finite")
    sys.exit(1)
if "silent" not in folder.name:
    (folder / "result.json").write_text(result)
"""
EVALUATE = """
import json, pathlib, sys
folder, name, record = pathlib.Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
path = folder / "evaluation.json"
found = json.loads(path.read_text()) if path.exists() else {}
(folder / record["per_example"]).write_bytes(b"")
path.write_text(json.dumps(found | {name: record}))
"""


@pytest.fixture(autouse=True)
def quick_commands(monkeypatch):
    def train(cell, where):
        texts = (json.dumps(cell.fields), json.dumps(result(0.9, 0.5)))
        return ["-c", RUN, str(where), *texts]

    def evaluate(arguments, where):
        record = measure("x", {"of": arguments}, per_example=f"{arguments[0]}.npz")
        return ["-c", EVALUATE, str(where), f"name of {arguments[0]}", json.dumps(record),
                "train.evaluate"]  # fmt: skip

    monkeypatch.setattr(standing, "train_arguments", train)
    monkeypatch.setattr(standing, "evaluate_arguments", evaluate)
    monkeypatch.setattr(runs, "POLL", 0.01)


def cells(*names, evaluations=()):
    return [Cell(name, "", (), evaluations, config(name=name)) for name in names]


def make(given, workdir, jobs=1):
    said = []
    failed = runs.make(given, workdir, slots.divided(jobs, [], []), said.append)
    return failed, said


def states(given, workdir):
    return [standing.of(cell, workdir / cell.name) for cell in given]


def test_each_is_made_once(tmp_path):
    given = cells("a", "b", "c")
    assert states(given, tmp_path) == [Standing.NEW] * 3
    failed, said = make(given, tmp_path, jobs=2)
    assert not failed
    assert states(given, tmp_path) == [Standing.FINISHED] * 3
    assert sum("finished" in line for line in said) == 3
    before = (tmp_path / "a" / "result.json").stat().st_mtime_ns
    assert make(given, tmp_path) == ({}, [])
    assert (tmp_path / "a" / "result.json").stat().st_mtime_ns == before


def test_one_that_fails_stops_no_other_and_is_tried_again(tmp_path):
    given = cells("a", "failing", "silent", "z")
    failed, said = make(given, tmp_path)
    assert failed == {
        "failing": f"the loss is not finite (log: {tmp_path / 'failing.log'})",
        "silent": f"it has ended without a result (log: {tmp_path / 'silent.log'})",
    }
    assert states(given, tmp_path)[::3] == [Standing.FINISHED] * 2
    assert "error: the loss is not finite" in (tmp_path / "failing.log").read_text()
    assert any(line.startswith("failing: failed: the loss") for line in said)
    make(given, tmp_path)
    assert (tmp_path / "failing.log").read_text().count(
        "\nerror: the loss is not finite"
    ) == 2


def test_a_folder_of_another_config_is_refused_before_any_run(tmp_path):
    make(cells("b"), tmp_path)
    other = [
        cell._replace(fields=config(name="b", epochs=7)) for cell in cells("a", "b")
    ]
    with pytest.raises(
        UserError, match="made with another config: epochs is 30 there and 7"
    ):
        make(other, tmp_path)
    assert not (tmp_path / "a").exists()
    same = [
        cell._replace(fields=config(name="new", log_every=7)) for cell in cells("b")
    ]
    assert make(same, tmp_path) == ({}, [])


def test_a_result_of_fewer_epochs_is_not_the_end(tmp_path):
    (given,) = cells("b")
    make([given], tmp_path)
    content = json.dumps(result(0.9, 0.5, epochs=3))
    (tmp_path / "b" / "result.json").write_text(content)
    assert standing.of(given, tmp_path / "b") is Standing.BEGUN


def test_evaluations_are_made_once_and_anew_for_other_weights(tmp_path):
    (given,) = cells("a", evaluations=(("--one",), ("--two", "--more")))
    make([given], tmp_path)
    found = standing.result_of(given, tmp_path / "a")
    assert [each["found"]["of"] for each in found["evaluations"]] == [
        ["--one"],
        ["--two", "--more"],
    ]
    assert make([given], tmp_path) == ({}, [])
    more = given._replace(evaluations=(*given.evaluations, ("--three",)))
    assert standing.of(more, tmp_path / "a") is Standing.TRAINED
    with pytest.raises(UserError, match="is not finished"):
        standing.result_of(more, tmp_path / "a")
    _, said = make([more], tmp_path)
    assert [line for line in said if "--" in line] == ["a: --three in 0 s"]
    changed = json.dumps(result(0.9, 0.5, weights_checksum="other"))
    (tmp_path / "a" / "result.json").write_text(changed)
    assert standing.next_evaluation(given, tmp_path / "a") == ("--one",)
    (tmp_path / "a" / records.FILE).unlink()
    assert standing.next_evaluation(given, tmp_path / "a") == ("--one",)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="of Linux")
def test_runs_stay_on_their_cores(tmp_path):
    core = min(os.sched_getaffinity(0))
    runs.make(cells("a"), tmp_path, [slots.Slot(0, (core,))], lambda _: None)
    assert f"cores [{core}]" in (tmp_path / "a.log").read_text()


def when(path, act):
    """Acts in another thread as soon as a file is there."""

    def wait():
        deadline = time.monotonic() + 30
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("number", "by"), [(signal.SIGTERM, "SIGTERM"), (signal.SIGINT, "Ctrl-C")]
)
def test_a_stop_lets_runs_save_and_the_same_call_goes_on(tmp_path, number, by):
    given = cells("slow", "after")
    thread = when(tmp_path / "slow" / "ready", lambda: os.kill(os.getpid(), number))
    with pytest.raises(Preempted) as stopped:
        make(given, tmp_path)
    thread.join()
    assert stopped.value.by == by
    assert states(given, tmp_path) == [Standing.BEGUN, Standing.NEW]
    assert (tmp_path / "slow" / "saved").exists()
    assert make(given, tmp_path)[0] == {}
    assert states(given, tmp_path) == [Standing.FINISHED] * 2


def test_a_second_interrupt_stops_at_once(tmp_path):
    def twice():
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.2)

    thread = when(tmp_path / "stubborn" / "ready", twice)
    begin = time.monotonic()
    with pytest.raises(Preempted):
        make(cells("stubborn"), tmp_path)
    thread.join()
    assert time.monotonic() - begin < 20


KILLED = """
import pathlib, sys
from train.search import slots
from train.search.children import Child
child = Child("slow", ["-c", *sys.argv[2:]], slots.Slot(0), pathlib.Path(sys.argv[1]))
child._process.wait()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_a_run_is_asked_to_stop_if_the_sweep_is_killed(tmp_path):
    where = tmp_path / "slow"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "log"), RUN, str(where), "{}", "{}"],
        cwd=ROOT,
    )  # fmt: skip
    when(where / "ready", process.kill).join()
    process.wait()
    deadline = time.monotonic() + 20
    while not (where / "saved").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_run_that_another_process_is_leaving_is_waited_for(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    path = tmp_path / "a" / settings.LOCK
    with lock.held(path, tmp_path / "a"):
        monkeypatch.setattr(runs, "PATIENCE", 0.05)
        failed, _ = make(cells("a", "b"), tmp_path)
        assert "is in use by process" in failed["a"]
        monkeypatch.setattr(runs, "PATIENCE", 30.0)
        done = when(tmp_path / "c" / "result.json", path.unlink)
        assert make(cells("c", "a"), tmp_path)[0] == {}
        done.join()


def test_two_sweeps_do_not_share_a_folder(tmp_path):
    with (
        folder.claimed(tmp_path / "new", ["a"], {}),
        pytest.raises(UserError, match="is in use by process"),
        folder.claimed(tmp_path / "new", ["b"], {}),
    ):
        pass
    with folder.claimed(tmp_path / "new", ["b", "c"], {"seeds": 2}):
        pass
    content = files.read_json(tmp_path / "new" / "sweep.json")
    assert content == {"seeds": 2, "runs": ["b", "c", "a"]}


@pytest.mark.parametrize("name", ["config.json", "notes.txt"])
def test_a_folder_of_something_else_is_refused(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(UserError, match="--workdir must be a folder of its own, got"):
        folder.check(tmp_path)
    with pytest.raises(UserError, match="--workdir must be a folder, got the file"):
        folder.check(pathlib.Path(tmp_path / name))
