"""Folders of runs that are damaged, unfinished or no runs at all."""

import datetime
import json
import os
import random

import pytest

from tests.support import pages
from tests.support.pages import NOW, Page, checked, finished, write
from train.base.errors import UserError
from train.base.files import lock
from train.experiment import settings
from train.reports.page import reading, runs
from train.reports.page.runs import arranged, once


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(UserError, match="there is no such folder"):
        reading.read(tmp_path / "nothing")
    with pytest.raises(UserError, match=r"neither config\.json nor evaluation\.json"):
        reading.read(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="no such folder"):
        reading.read(tmp_path / "file")


def test_a_run_that_goes_on(tmp_path):
    folder = write(tmp_path / "a", lines=pages.log(7))
    written = (NOW - datetime.timedelta(minutes=5)).timestamp()
    os.utime(folder / "metrics.jsonl", (written, written))
    with lock.held(folder / reading.LOCK, folder):
        page = checked(folder)
    assert (
        "goes on: its last step in the log is 7, written at 2026-01-02 02:59 UTC"
        in (page.text)
    )
    assert "5 min 0 s before this page" in page.text
    assert "has not finished" in page.text
    assert "has stopped before its end" in checked(folder).text
    (folder / reading.LOCK).touch()  # as a process leaves it that was killed
    assert "has stopped before its end" in checked(folder).text
    assert (folder / reading.LOCK).exists()


def test_a_finished_run_does_not_go_on(tmp_path):
    page = checked(finished(tmp_path / "a"))
    assert "goes on" not in page.text
    assert "has stopped" not in page.text


def test_a_finished_run_that_trains_more_epochs_is_not_finished(tmp_path):
    folder = finished(tmp_path / "a", config=pages.CONFIG | {"epochs": 3})
    assert "has stopped before its end" in checked(folder).text


def test_a_run_before_its_first_step(tmp_path):
    assert "no step is logged yet" in checked(write(tmp_path / "a")).text


def test_metrics_that_are_not_finite_are_gaps(tmp_path):
    lines = [{"step": i, "loss": float("nan") if i in (4, 5) else i} for i in range(9)]
    lines.append({"step": 9, "loss": float("inf"), "huge": 10**400, "word": "x"})
    page = checked(finished(tmp_path / "a", lines=lines))
    assert "loss at 3 steps from 4 to 9" in page.text
    (path,) = [
        each["d"] for each in page.all("path")
        if each["class"] == "line c0 d0" and each["d"].count("L") > 3
    ][:1]  # fmt: skip
    assert path.count("M") == 2
    assert "nan" not in path


def test_a_log_of_nan_alone(tmp_path):
    lines = [{"step": i, "loss": float("nan")} for i in range(3)]
    assert "not finite" in checked(write(tmp_path / "a", lines=lines)).text


def test_damaged_lines_of_a_log(tmp_path):
    folder = finished(tmp_path / "a")
    text = (folder / "metrics.jsonl").read_text()
    (folder / "metrics.jsonl").write_bytes(b"\xff\x00\n[1]\n" + text.encode() + b'{"st')
    assert "2 of 48 lines of" in checked(folder).text


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b"null", b'{"name": 1}'])
@pytest.mark.parametrize("name", ["config.json", "result.json", "evaluation.json"])
def test_damaged_files_are_said_and_the_rest_is_shown(tmp_path, name, content):
    folder = finished(tmp_path / "a")
    (folder / name).write_bytes(content)
    page = checked(folder)
    assert f"a/{name}" in page.text
    assert "Training" in page.text
    assert "has stopped" not in page.text


def test_a_damaged_record_hides_no_other(tmp_path):
    good = pages.autoattack()
    bad = {"natural": good | {"natural_accuracy": "x"}, "list": [], "good": good}
    bad["measure"] = pages.measured("calibration", [])
    page = checked(finished(tmp_path / "a", records=bad))
    for name in ("'natural'", "'list'", "'measure'"):
        assert f"the record {name}" in page.text
    assert "AutoAttack (standard)" in page.text


@pytest.mark.parametrize("content", [b"no zip", None])
def test_per_example_files_that_cannot_be_read(tmp_path, content):
    """The curve is then that of the record."""
    folder = finished(tmp_path / "a")
    path = folder / "evaluations" / "autoattack.npz"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    page = checked(folder)
    assert "autoattack.npz cannot be read" in page.text
    assert "Robust accuracy against epsilon" in page.text


def test_a_picture_that_is_none(tmp_path):
    folder = finished(tmp_path / "a", npz=None, records={})
    (folder / reading.EXAMPLES).write_bytes(b"no picture")
    assert "is no picture that can be read" in checked(folder).text


def test_evaluations_of_weights_from_elsewhere(tmp_path):
    record = pages.autoattack(weights_file="/x/robust.npz")
    page = checked(write(tmp_path / "a", config=None, records={"a": record}))
    assert "evaluations of weights from elsewhere" in page.text
    assert "--weights=/x/robust.npz" in page.text


def test_the_same_folder_is_shown_once(tmp_path):
    folder = finished(tmp_path / "a")
    again = tmp_path / "b" / ".." / "a"
    (tmp_path / "b").mkdir()
    assert once([folder, again, folder]) == ([folder], [again, folder])


def test_names_tell_folders_apart(tmp_path):
    paths = [tmp_path / "x" / "run", tmp_path / "y" / "run"]
    runs = arranged([reading.read(finished(path)) for path in paths])
    assert [run.name for run in runs] == ["x/run", "y/run"]


def test_a_sequence_of_tasks(tmp_path):
    found = {
        "accuracy_matrix": [[0.9], [0.5, 0.8]], "average_accuracy": 0.65,
        "forgetting": 0.4,
    }  # fmt: skip
    continual = {"class_incremental": found, "task_incremental": found}
    folder = write(tmp_path / "a", result=pages.result(continual=continual))
    page = checked(folder)
    assert "forgetting 40.0" in page.text
    assert "after task 2" in page.text


def changed(draw, value):
    """The value with something else in one place."""
    other = [None, True, -1, 10**400, float("nan"), "<b>", [], {}, [[1], "x"], {"a": 1}]
    if isinstance(value, dict) and value and draw.random() < 0.8:
        key = draw.choice(sorted(value))
        return value | {key: changed(draw, value[key])}
    if isinstance(value, list) and value and draw.random() < 0.6:
        place = draw.randrange(len(value))
        return [*value[:place], changed(draw, value[place]), *value[place + 1 :]]
    return draw.choice(other)


@pytest.mark.long
def test_files_that_hold_anything(tmp_path):
    """The page is whole, whatever stands in one place of one file."""
    folder = finished(tmp_path / "a")
    names = ("config.json", "result.json", "evaluation.json")
    texts = {name: (folder / name).read_text() for name in names}
    for seed in range(60):
        draw = random.Random(seed)
        name = names[seed % 3]
        content = changed(draw, json.loads(texts[name]))
        (folder / name).write_text(json.dumps(content))
        try:
            checked(folder)
        except Exception as error:
            raise AssertionError(f"{seed}: {name} as {content}") from error
        (folder / name).write_text(texts[name])


def test_the_parser_of_these_tests_sees_faults():
    for bad in ("<p>", "</p>", "<p><b></p></b>", "<p/>", '<p a="1" a="2"></p>'):
        with pytest.raises(AssertionError):
            Page(bad)
    for bad in (
        '<p id="a"></p><p id="a"></p>', '<img src="data:image/png;base64,x" alt="">',
        '<img src="http://x" alt="x">', "<script></script>", '<a href="#b"></a>',
        '<svg role="img" aria-label=". "></svg>', '<p onclick="x"></p>',
    ):  # fmt: skip
        with pytest.raises(AssertionError):
            Page(bad).checked()


def test_runs_of_other_teachers_are_other_settings():
    """As `train.compare` has it; the page cannot import that list, which needs JAX."""
    assert {*runs.REPEATED} == {"seed", "data.data_dir", *settings.WITHOUT_EFFECT}
