"""The script for an accelerator: a rehearsal of all of it, and what goes wrong."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from benchmarks import accelerator
from benchmarks.stages import STAGES, Stage
from benchmarks.support import goals, results_file, staged
from tests.conftest import ROOT

SCRIPT = str(ROOT / "benchmarks" / "accelerator.py")


def read(folder):
    return json.loads((folder / "accelerator.json").read_text())


def rows(content):
    for entry in content["stages"].values():
        for name, table in entry["tables"].items():
            yield from ((name, row) for row in table)


@pytest.mark.long
def test_a_rehearsal_measures_everything(tmp_path):
    # As on a machine with one device and without pytest's settings.
    hidden = ("XLA_FLAGS", "JAX_DISABLE_MOST_OPTIMIZATIONS", "PYTHONPATH")
    environment = {k: v for k, v in os.environ.items() if k not in hidden}
    done = subprocess.run(
        [sys.executable, SCRIPT, "--rehearse", f"--output={tmp_path}"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=2400,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    content = read(tmp_path)
    statuses = {k: entry["status"] for k, entry in content["stages"].items()}
    assert statuses == dict.fromkeys("abcdef", "done"), content
    assert [row for _, row in rows(content) if "error" in row] == []
    counted = {
        name: sum(found == name for found, _ in rows(content))
        for name in (
            "limits",
            "losses",
            "losses_and_torch",
            "steps",
            "autoattack",
            "tests",
            "frontier",
        )
    }
    assert counted["losses"] == counted["losses_and_torch"] == 6
    assert counted["limits"] >= 4
    assert counted["steps"] >= 3  # and as many of torch's
    assert counted["autoattack"] >= 6
    assert counted["frontier"] == 1
    outcomes = {row["outcome"] for name, row in rows(content) if name == "tests"}
    assert counted["tests"] >= 7
    assert outcomes == {"passed"}
    assert {row["met"] for row in content["goals"]} == {None}
    page = (tmp_path / "accelerator.md").read_text()
    assert all(f"## {stage.letter}. {stage.title}" in page for stage in STAGES)
    assert page in done.stdout


def run_stages(monkeypatch, folder, codes, limit=16.0, seconds=60.0):
    """Runs stages whose modules are replaced by Python code."""
    stages = tuple(
        Stage(letter, code, f"stage {letter}", seconds, seconds)
        for letter, code in codes.items()
    )
    monkeypatch.setattr(accelerator, "STAGES", stages)
    monkeypatch.setattr(
        staged, "module", lambda _, code, order: [sys.executable, "-c", code, order]
    )
    arguments = [
        f"--output={folder}",
        f"--limit={limit}",
        f"--stages={','.join(codes)}",
    ]
    return accelerator.main(arguments)


ROW = 'import json; print(json.dumps({"table": "t", "cells": {"x": 1.5}}), flush=True)'
FAILS = f"{ROW}\nraise ValueError('no such kernel')"
HANGS = f"{ROW}\nimport time; time.sleep(600)"


@pytest.mark.long
def test_stages_that_fail_or_hang_keep_their_rows(monkeypatch, tmp_path, capfd):
    codes = {"a": FAILS, "b": HANGS, "c": ROW}
    assert run_stages(monkeypatch, tmp_path, codes) == 1
    stages = read(tmp_path)["stages"]
    assert [stage["status"] for stage in stages.values()] == [
        "failed", "over its budget", "done",
    ]  # fmt: skip
    assert stages["a"]["error"] == "ValueError: no such kernel"
    assert [stage["tables"] for stage in stages.values()] == [{"t": [{"x": 1.5}]}] * 3
    page = capfd.readouterr().out
    assert "Error: ValueError: no such kernel" in page
    assert page.count("| x |") == 3


def test_without_time_a_stage_is_not_begun(monkeypatch, tmp_path):
    assert run_stages(monkeypatch, tmp_path, {"a": ROW}, limit=2.0) == 0
    stage = read(tmp_path)["stages"]["a"]
    assert stage["status"].startswith("not begun")
    assert stage["tables"] == {}


def test_budgets_leave_the_later_stages_theirs():
    first, second = (Stage(x, "", "", s, s) for x, s in (("a", 30.0), ("b", 60.0)))
    rest = Stage("f", "", "", None, None)
    assert accelerator.budget(first, [second, rest], 570) == 30
    assert accelerator.budget(first, [second], 45) == 15  # a third of what is left
    assert accelerator.budget(first, [second], 180) == 60
    assert accelerator.budget(rest, [first], 100) == 70
    assert accelerator.budget(rest, [second], 50) == 0
    whole = sum(stage.seconds or 0 for stage in STAGES)
    assert whole < accelerator.LIMIT


def test_sigterm_keeps_what_was_measured(tmp_path):
    process = subprocess.Popen(
        [sys.executable, SCRIPT, "--rehearse", "--stages=b", f"--output={tmp_path}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    end = time.monotonic() + 60
    while not (tmp_path / "accelerator.json").exists() and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "what was measured is in" in errors
    assert read(tmp_path)["stages"]["b"]["status"] == "stopped"


ENDLESS = [
    sys.executable, "-c",
    "import sys, time\nprint(1, flush=True)\nsys.stdout.write('{\"half')\n"
    "sys.stdout.flush()\ntime.sleep(600)",
]  # fmt: skip


def endless(tmp_path, stop, receive=lambda message: None):
    return staged.run(
        ENDLESS, seconds=30, log=tmp_path / "log", environment=os.environ,
        receive=receive, stop=stop,
    )  # fmt: skip


def test_a_signal_before_the_stage_is_known_ends_it(tmp_path):
    with staged.Stop() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        ended = endless(tmp_path, stop)
    assert ended.status == "stopped"
    assert ended.seconds < 20  # it was not its budget that ended it


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_stage_that_runs(number, tmp_path):
    received = []

    def receive(message):
        received.append(message)
        os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    with staged.Stop() as stop:
        assert endless(tmp_path, stop, receive).status == "stopped"
    assert received == [1]
    assert signal.getsignal(number) == before


BAD = {
    "stage": (["--stages=a,x"], "--stages must be of a, b, c, d, e, f, got 'a,x'"),
    "limit": (["--limit=-1"], "--limit must be > 0 and finite, got -1"),
    "data": (["--data=nowhere"], "--data must be a folder, got 'nowhere'"),
    "wheels": (
        ["--wheels=nowhere"],
        "--wheels must be a folder of wheels, got nowhere",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name, tmp_path, capsys):
    flags, message = BAD[name]
    output = tmp_path / "output"
    try:
        code = accelerator.main([f"--output={output}", *flags])
    except SystemExit as error:
        code = error.code
    assert code
    assert message in capsys.readouterr().err
    assert not output.exists()


def row_of(by, precision, **cells):
    return {"by": by, "precision": precision, **cells}


TABLES = {
    "losses": [
        {"batch": 64, "classes": 32000, "precision": "float32", "goal": True,
         "ikl/stream": 1.2, "ikl_own_weights/stream": 1.4},
        {"batch": 8, "classes": 9, "precision": "float32", "goal": False,
         "ikl/stream": 9.0, "ikl_own_weights/stream": 9.0},
        {"precision": "torch", "error": "OSError: x"},
    ],
    "steps": [
        row_of("jax", "bfloat16", model="m", **{"images/s": 260.0}),
        row_of("jax", "float32", model="m", **{"images/s": 100.0}),
        row_of("torch", "bfloat16", model="m", **{"images/s": 150.0}),
        row_of("torch, compiled", "bfloat16", model="m", **{"images/s": 200.0}),
        row_of("jax", "float32", model="alone", **{"images/s": 100.0}),
        row_of("torch", "float32", model="alone", error="MemoryError: x"),
    ],
    "autoattack": [
        row_of("pyautoattack", "float32", network="n", seconds=90.0),
        row_of("ikl_jax", "float32", network="n", seconds=1.0, compile_s=0.0),
        row_of("ikl_jax", "bfloat16, judged in float32", network="n", seconds=45.0,
               compile_s=20.0),
    ],
    "verdicts": [
        row_of("ikl_jax", "float32", network="n", same=0.5),
        row_of("ikl_jax", "bfloat16, judged in float32", network="n", same=0.992),
    ],
}  # fmt: skip


def test_goals_are_judged_by_the_better_precision():
    judged = {
        (row["goal"].split()[0], row["of"]): (row["measured"], row["met"])
        for row in goals.judge(TABLES, rehearsed=False)
    }
    assert judged == {
        ("IKL", "64 × 32000, float32, given weights"): (1.2, True),
        ("IKL", "64 × 32000, float32, own weights"): (1.4, False),
        ("the", "m"): (1.3, True),
        ("AutoAttack", "n, with compiling"): (2.0, False),
        ("AutoAttack", "n, without"): (3.6, True),
        ("AutoAttack", "n"): (0.992, True),
    }
    assert {row["met"] for row in goals.judge(TABLES, rehearsed=True)} == {None}
    assert [row["of"] for row in goals.judge({}, rehearsed=False)] == [
        "not measured"
    ] * 4


def test_rows_that_lack_a_number_do_not_end_the_run():
    tables = {**TABLES, "losses": [{"goal": True}]}
    judged = goals.judge(tables, rehearsed=False)
    assert judged[0]["of"] == "not judged: KeyError('batch')"
    assert any(row["met"] for row in judged)


def test_tables_have_all_columns_and_short_numbers():
    text = results_file.table([{"a": 0.123456, "b": 20000.4}, {"a": None, "c": "x|y"}])
    assert text.splitlines() == [
        "| a | b | c |", "| ---|---|--- |", "| 0.1235 | 20,000 | – |", "| – | – | x\\|y |",
    ]  # fmt: skip
