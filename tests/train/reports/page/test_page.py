"""The page: its structure, the names on it, and its size."""

import re
import time

import pytest

from tests.support import pages
from tests.support.pages import Page, checked, finished, made, write
from train.reports.page import document
from train.reports.page.html import escaped

MEGABYTE = 1_000_000
NAMES = (
    "<script>alert(1)</script>", "\"quotes\" & 'others'", "</style><b>",
    "\u202eright to left", "\u05d0\u05d1\u05d2 \u0627\u0644", "x" * 100, "a\x1b[31mb",
    "{{ name }}", "--config=x", "   ",
)  # fmt: skip


def test_one_run(tmp_path):
    page = checked(finished(tmp_path / "digits"))
    for heading in ("Results", "Training", "Config", "Environment", "Commands"):
        assert heading in page.text
    assert len(page.all("img")) == 3 * 8
    assert "75.0" in page.text  # PGD
    assert "50.0" in page.text  # AutoAttack
    assert "1 min 2 s" in page.text


def test_several_runs(tmp_path):
    folders = [finished(tmp_path / str(seed)) for seed in range(3)]
    page = checked(*folders)
    assert "Three runs of one setting" in page.text
    assert "All have the same robust accuracy" in page.text
    assert "the same" in page.text


def test_means_over_seeds(tmp_path):
    """Of settings with several seeds; a setting with one run has no spread."""
    folders = []
    for number, (alpha, robust) in enumerate([(1, 0.5), (1, 0.75), (2, 0.25)]):
        config = pages.CONFIG | {"seed": number, "loss": {"alpha": alpha}}
        result = pages.result(robust)
        folders.append(write(tmp_path / str(number), config=config, result=result))
    text = checked(*folders).text
    assert "loss.alpha=1290.0 ± 0.0\u202f%62.5 ± 17.7\u202f%" in text
    assert "loss.alpha=2" not in text


def test_a_page_loads_nothing(tmp_path):
    content = made(finished(tmp_path / "a"), finished(tmp_path / "b"))
    assert escaped(document.POLICY) in content
    assert not re.search(r"https?:|//[a-z]|url\(|@import", content)


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_names_are_shown_as_they_are(tmp_path, name):
    """Of a run's folder, the data, the model, the config's fields and the classes."""
    classes = [{"class": 3, "class_name": name, "natural_accuracy": 0.5, "examples": 2}]
    config = pages.CONFIG | {"data": {"source": name}, "model": {"name": name}}
    folder = finished(
        tmp_path / name.replace("/", "\\"), config=config | {"name": name},
        result=pages.result(worst_classes=classes, dataset=name),
        records={name: pages.measured(name, {name: name, "list": [{name: [name]}]})},
    )  # fmt: skip
    page = checked(folder, finished(tmp_path / "other", config=config))
    shown = name.replace("\x1b", "\\x1b")
    assert shown in page.text
    isolated = [attributes for tag, attributes, _ in page.elements if tag == "bdi"]
    assert isolated
    assert all(attributes == {"dir": "auto"} for attributes in isolated)


@pytest.mark.long
def test_twenty_runs(tmp_path):
    folders = []
    for number in range(20):
        config = pages.CONFIG | {"seed": number % 5, "name": str(number // 5)}
        config = config | {"loss": {"name": "ikl", "alpha": number // 5}}
        folder = tmp_path / f"run_{number}"
        lines = pages.log(2000, divergence=1.0)
        data = pages.arrays(2000, size=32)
        folders.append(finished(folder, config=config, lines=lines, npz=data))
    begin = time.process_time()
    content = made(*folders)
    assert time.process_time() - begin < 6
    assert len(content.encode()) < 3 * MEGABYTE
    page = Page(content).checked()
    looks = {each["class"] for each in page.all("path") if "line " in each["class"]}
    assert len(looks) >= 4 * 4  # four settings, and four kinds of lines for their seeds


@pytest.mark.parametrize(
    ("measure", "found"),
    [
        ("new", {"number": 0.5, "list": [1, 2], "table": [[1, 2], [3, 4]]}),
        ("new", {"long": list(range(1000)), "words": {"a": "b", "c": None}}),
        (
            "new",
            {"deep": [{"x": {"y": {"z": {"u": {"v": [1]}}}}}], "nan": float("nan")},
        ),
        ("new", {}),
        ("calibration", {"unknown": [[]]}),
        ("corruptions", {"x": {}}),
        ("ood", {"scores": 3}),
        ("margins", {"margin": "x"}),
        ("features", {}),
        ("classes", {"accuracy": [None, "x"]}),
    ],
)
def test_any_measure_is_shown(tmp_path, measure, found):
    record = pages.measured(measure, found)
    page = checked(finished(tmp_path / "a", records={"m (1)": record}))
    assert "Measures" in page.text
    assert measure in page.text.lower()


def test_runs_on_different_data(tmp_path):
    config = pages.CONFIG | {"data": {"source": "idx:fashion"}}
    other = pages.result(dataset="idx:fashion", data_fingerprint="other")
    first = finished(tmp_path / "a")
    second = write(tmp_path / "b", config=config, result=other)
    page = checked(first, second)
    assert "These results are on different data" in page.text
    assert "so their numbers cannot be compared" in page.text  # in the summary
    assert "idx:fashion (test)" in page.text


def test_notes_come_first(tmp_path):
    page = checked(finished(tmp_path / "a"), notes=["a was named more than once."])
    assert page.text.index("named more than once") < page.text.index("Results")
