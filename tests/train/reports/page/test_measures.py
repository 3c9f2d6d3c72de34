"""Each measure on the page: its numbers and its charts, of one run and of several."""

import numpy as np
import pytest

from tests.support import pages
from tests.support.pages import Page, finished
from train.evaluation.measures import calibration
from train.reports.page import reading
from train.reports.page.html import element
from train.reports.page.measures import features
from train.reports.page.measures.found import Found
from train.reports.page.measures.sections import DRAWINGS
from train.reports.page.runs import arranged

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 3, 60)
LOGITS = RNG.normal(size=(60, 3)) + 2 * np.eye(3)[LABELS]
CLASSES = ("<b>shirt", "x" * 100, "\u05d0\u05d1")
NUMBERS = calibration.found(LOGITS, LABELS, bins=5, resamples=10, seed=0)
HISTOGRAM = {"edges": [0.0, 0.5, 1.0], "in_distribution": [1, 3],
             "out_of_distribution": [5, 0]}  # fmt: skip
MARGIN = {"examples": 60, "unknown": 0, "mean": 1.25, "median": 1.0, "q25": 0.5}
OF_CLASSES = [
    {"class": label, "class_name": name, "examples": 20, "natural_accuracy": 0.75,
     "robust_accuracy": 0.375, "fallen": 7, "falls_to": 0, "falls_to_name": CLASSES[0],
     "falls_to_examples": 4}
    for label, name in enumerate(CLASSES)
]  # fmt: skip
FOUND = {
    "calibration": {
        **NUMBERS, "temperature": 1.75, "after_temperature": NUMBERS,
        "notes": ["a remark"],
    },
    "classes": {"attack_name": "pgd20", "classes": 3, "by_class": OF_CLASSES},
    "ood": {
        "against": "noise",
        "scores": {
            "energy": {
                "area_under_roc": 0.875, "average_precision_in": 0.75,
                "average_precision_out": 0.625, "false_positive_rate_at_95": 0.375,
                "histogram": HISTOGRAM,
            }
        },
    },
    "corruptions": {
        "accuracy": {"gaussian_noise": [0.875, 0.625], "fog": [0.75, 0.5]},
        "mean_accuracy": 0.75, "mean_accuracy_by_severity": [0.8, 0.7], "mce": 1.125,
        "relative_mce": None,
    },
    "margins": {
        "gap": {"natural": 0.0625, "robust": 0.125},
        "means": {"logit_test_natural": 1.25, "distance_test_natural": 0.5},
        "by_class": [{"class": 0, "class_name": CLASSES[0], "logit_natural": MARGIN}],
        "histograms": {
            "logit": {"edges": [-1.0, 0.5, 2.0], "training_natural": [1, 2],
                      "test_natural": [2, 2], "test_adversarial": [3, 1]},
            "distance": {},
        },
    },
    "features": {
        "natural": {"within": 1.5, "between": 4.5, "ratio": 3.0, "nearest_mean": 0.875},
        "adversarial": {"within": 2.5, "between": 3.5, "ratio": None,
                        "nearest_mean": 0.5},
        "by_class": OF_CLASSES,
    },
}  # fmt: skip
ARRAYS = {
    "confusion": np.array([[5, 1, 0], [0, 4, 2], [0, 0, 0]]),
    "class_means": np.array([[0.75, 0.25, 0], [0.5, 0.5, 0], [np.nan] * 3]),
    "map_label": LABELS, "map_natural": RNG.normal(size=(60, 2)),
    "map_adversarial": RNG.normal(size=(60, 2)),
}  # fmt: skip
SAYS = {
    "calibration": ["Reliability", "1.75", "a remark"],
    "classes": ["75.0", "37.5", "4 of 7", "Confusion", "Class means"],
    "ood": ["87.5", "62.5", "37.5", "noise", "other images"],
    "corruptions": ["112.5", "gaussian noise", "Accuracy against severity"],
    "margins": ["6.2", "12.5", "1.25", "test, attacked"],
    "features": ["4.5", "87.5", "t-SNE", "attacked ones crosses"],
}


def found(folder, measure, content=None):
    """The record of a measure, in a run of its own."""
    record = pages.measured(measure, FOUND[measure] if content is None else content)
    record["per_example"] = "evaluations/autoattack.npz"
    finished(folder, records={"m (1)": record}, npz=ARRAYS)
    (run,) = arranged([reading.read(folder)])
    return Found(run, "m (1)", run.folder.records["m (1)"])


@pytest.mark.parametrize("measure", DRAWINGS)
@pytest.mark.parametrize("count", [1, 3])
def test_it_is_drawn(tmp_path, measure, count):
    """By its own function: what does not fit it would raise an error here."""
    records = [found(tmp_path / f"run{i}", measure) for i in range(count)]
    page = Page(element("main", DRAWINGS[measure].draw(records))).checked()
    for text in SAYS[measure][: None if count == 1 else -1]:
        assert text in page.text, text
    assert "nan" not in "".join(each.get("d", "") for each in page.all("path"))


def test_names_of_classes_are_escaped(tmp_path):
    drawn = [
        found(tmp_path / each, each) for each in ("classes", "margins", "features")
    ]
    for each in drawn:
        page = Page(element("main", DRAWINGS[each.measure].draw([each]))).checked()
        assert page.all("b") == [{}] * len(page.all("b"))
        assert CLASSES[0] in page.text
    assert "xxxxxxxxxxxxx…" in page.text  # on the map, which has little room


def test_many_classes_are_a_picture(tmp_path):
    folder = tmp_path / "a"
    each = found(folder, "classes")
    many = {"confusion": np.eye(100), "class_means": np.full((100, 100), np.nan)}
    np.savez(folder / "evaluations" / "autoattack.npz", **many)
    drawn = element("main", DRAWINGS["classes"].draw([each]))
    assert len(Page(drawn).checked().all("svg")) == 2
    assert len(drawn) < 20_000


def test_maps_of_many_runs_have_fewer_points(tmp_path, monkeypatch):
    monkeypatch.setattr(features, "POINTS", 40)
    records = [found(tmp_path / str(i), "features") for i in range(2)]
    drawn = element("main", DRAWINGS["features"].draw(records))
    assert Page(drawn).checked().text.count("features of 20 of 60 images") == 2 * 2
    dots = [each["d"] for each in Page(drawn).all("path") if "dot" in each["class"]]
    assert "".join(dots).count("M") == 2 * 20


def test_the_order_of_measures_and_their_titles(tmp_path):
    records = {name: pages.measured(name, FOUND[name]) for name in reversed(FOUND)}
    folder = finished(tmp_path / "a", records=records | {
        "own": pages.measured("own", {"number": 0.5})
    })  # fmt: skip
    text = pages.checked(folder).text
    titles = [each.title for each in DRAWINGS.values()] + ["Measure own"]
    places = [text.rindex(title) for title in titles]
    assert places == sorted(places)
