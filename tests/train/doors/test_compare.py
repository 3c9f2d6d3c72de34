"""`python -m train.compare` on folders: of runs, of a sweep, and on what is neither."""

import contextlib
import json

import pytest

from tests.support.results import measure, write
from train import compare
from train.base.files import lock
from train.experiment import settings


@pytest.fixture
def sweep(tmp_path):
    """Two losses with two seeds, of which one run has not finished."""
    for loss, natural in (("kl", 0.9), ("ikl", 0.94)):
        for seed in range(2):
            write(
                tmp_path / f"{loss}{seed}",
                natural + 0.01 * seed,
                0.5,
                loss__name=loss,
                seed=seed,
            )
    return tmp_path


def printed(capsys, *arguments):
    code = compare.main([str(each) for each in arguments])
    out, error = capsys.readouterr()
    assert code == 0, error
    return out


def refused(capsys, *arguments):
    code = compare.main([str(each) for each in arguments])
    assert code in (1, 2)
    return capsys.readouterr().err


def test_a_folder_of_runs_is_grouped(sweep, capsys):
    out = printed(capsys, sweep, "--format=markdown", "--baseline=loss=kl")
    assert "| ikl | 2 | 94.50 ± 0.71 | 50.00 ± 0.00 |" in out
    assert "| ikl | natural | 2 | +4.00 |" in out


def test_a_sweep_is_in_its_order_and_says_what_is_missing(sweep, capsys):
    names = ["ikl0", "ikl1", "kl0", "kl1", "kl2"]
    (sweep / "sweep.json").write_text(json.dumps({"runs": names}))
    (sweep / "kl1" / "result.json").unlink()
    out = printed(capsys, sweep, "--format=csv", "--output", sweep / "t.csv")
    assert out == ""
    lines = (sweep / "t.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == ["ikl", "ikl", "kl", "kl"]
    out = printed(capsys, sweep)
    assert "Note: kl1 is not finished, and is left out." in out
    assert "Note: kl2 is not begun, and is left out." in out
    folder = sweep / "kl1"
    with lock.held(folder / settings.LOCK, folder):
        assert "kl1 is going on" in printed(capsys, sweep)
        assert "the run is going on" in refused(capsys, folder)


def test_a_run_alone_and_runs_of_one_seed_have_rows(sweep, capsys):
    out = printed(capsys, sweep / "kl0")
    assert "kl0" in out
    assert "90.0%" in out
    assert "±" not in printed(capsys, sweep / "kl0", sweep / "ikl0")
    assert "±" not in printed(capsys, sweep, "--each")
    assert "±" in printed(capsys, sweep)


def test_what_cannot_be_compared(sweep, capsys, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    assert f"no finished run: there is no {empty}/result.json" in refused(capsys, empty)
    assert "name one or more runs" in refused(capsys)
    assert "--each and --baseline exclude" in refused(
        capsys, sweep, "--each", "--baseline=x"
    )
    assert "should be one of" in refused(capsys, sweep, "--format=word")
    (sweep / "kl0" / "result.json").unlink()
    record = measure("margins", {"mean": 1.0})
    (sweep / "kl0" / "evaluation.json").write_text(json.dumps({"a": record}))
    error = refused(capsys, sweep / "kl0", sweep / "kl1", "--baseline=loss=kl")
    assert f"--baseline needs finished runs, and {sweep / 'kl0'} is none" in error
    for path in sweep.glob("*/result.json"):
        path.unlink()
    assert "no run has finished yet: ikl0 is not finished" in refused(capsys, sweep)


def test_damaged_files_are_named(sweep, capsys):
    with contextlib.suppress(FileNotFoundError):
        (sweep / "sweep.json").write_text("{")
    assert "sweep.json cannot be read" in refused(capsys, sweep)
