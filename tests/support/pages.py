"""Folders of runs that nobody trained, for the page of `train.report`; and its HTML."""

import datetime
import html.parser
import json
import re

import numpy as np

from train.reports.page import document, reading
from train.reports.page.html import VOID
from train.reports.page.runs import arranged

CONFIG = {
    "name": "digits_ikl_at", "recipe": "adversarial", "seed": 0, "epochs": 2,
    "steps_per_epoch": 0, "data": {"source": "digits", "evaluate_on": "test"},
    "model": {"name": "cnn"}, "loss": {"name": "ikl", "alpha": 20.0},
    "relative_to": "/somewhere",
}  # fmt: skip
EPSILON = 0.125
NOW = datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC)


def evaluated(**changed):
    """The fields of every evaluation."""
    return {
        "weights": "averaged", "weights_checksum": "aaaaaaaa", "dtype": "float32",
        "dataset": "digits", "data_fingerprint": "360 of 8x8x1 (0)",
        "evaluated_on": "test", "num_examples": 360, "natural_accuracy": 0.9,
        "versions": {"jax": "0.10.2", "ikl_jax": "0.1.0"},
    } | changed  # fmt: skip


def result(robust=0.75, **changed):
    attack = {"attack": "pgd", "steps": 20, "relative_step_size": 0.25, "restarts": 1}
    return evaluated(
        config="digits_ikl_at", epochs=2, steps=44, seconds=61.5, epsilon=EPSILON,
        norm="linf", attack=attack, robust_accuracy={"pgd20": robust}, **changed,
    )  # fmt: skip


def autoattack(robust=0.5, **changed):
    return evaluated(
        model="cnn", step=44, attack="autoattack", version="standard", norm="linf",
        epsilon=EPSILON, seed=0, part_examples=360,
        robust_accuracy={"autoattack_standard": robust},
        stages=[{"attack": "apgd-ce", "robust_accuracy": robust, "seconds": 1.0}],
        notes=[], curve={"epsilon": [0.0, EPSILON], "robust_accuracy": [0.9, robust]},
        per_example="evaluations/autoattack.npz", **changed,
    )  # fmt: skip


def measured(measure, found, **changed):
    return evaluated(
        model="cnn", step=44, measure=measure, found=found, robust_accuracy={},
        part_examples=360, **changed,
    )  # fmt: skip


def log(steps=44, **changed):
    """The lines of a log."""
    rng = np.random.default_rng(0)
    for step in range(1, steps + 1):
        line = {
            "step": step, "loss": 2 / step, "cross_entropy": 1 / step,
            "natural_accuracy": float(rng.random()), "seconds": step / 10,
        }  # fmt: skip
        yield line | changed
    yield {"step": steps, "eval_natural_accuracy": 0.9, "eval_robust_accuracy": 0.7}


def arrays(examples=360, images=8, size=8):
    """What the per-example file of an AutoAttack holds."""
    rng = np.random.default_rng(0)
    image = rng.random((images, size, size, 1), np.float32)
    labels = rng.integers(0, 10, examples)
    return {
        "label": labels, "distance": rng.random(examples) / 4, "image": image,
        "image_index": np.arange(images), "image_adversarial": 1 - image,
        "image_predicted": labels[:images],
        "image_predicted_adversarial": (labels[:images] + 1) % 10,
    }  # fmt: skip


def write(folder, *, config=CONFIG, result=None, records=None, lines=(), npz=None):
    """A folder with these files; what is None is not written."""
    folder.mkdir(parents=True)
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    if result is not None:
        (folder / "result.json").write_text(json.dumps(result))
    if records is not None:
        (folder / "evaluation.json").write_text(json.dumps(records))
    if lines:
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / "metrics.jsonl").write_text(text)
    if npz is not None:
        (folder / "evaluations").mkdir()
        np.savez(folder / "evaluations" / "autoattack.npz", **npz)
    return folder


def finished(folder, **changed):
    """A run that has finished and was attacked."""
    given = {
        "result": result(), "records": {"autoattack (1)": autoattack()},
        "lines": log(), "npz": arrays(),
    }  # fmt: skip
    return write(folder, **given | changed)


class Page(html.parser.HTMLParser):
    """The elements of a page, which must all be closed.

    Attributes:
      elements: tags with their attributes, in their order.
      text: all text, without the styles.
    """

    def __init__(self, content):
        super().__init__()
        self.elements, self.text, self._open = [], "", []
        self.feed(content)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        assert len(set(names)) == len(names), (tag, names)
        self.elements.append((tag, dict(attributes), list(self._open)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        raise AssertionError(f"<{tag}/> closes nothing in HTML")

    def handle_endtag(self, tag):
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open[-1:] != ["style"]:
            self.text += data

    def all(self, tag):
        return [attributes for each, attributes, _ in self.elements if each == tag]

    def checked(self):
        """Checks what every page must be."""
        ids = [each["id"] for _, each, _ in self.elements if "id" in each]
        assert len(set(ids)) == len(ids)
        for link in self.all("a"):
            assert link["href"].removeprefix("#") in ids
        for image in self.all("img"):
            assert image["alt"].strip()
            assert image["src"].startswith("data:image/png;base64,")
        for svg in self.all("svg"):
            hidden = svg.get("aria-hidden") == "true"
            assert hidden or (svg["role"] == "img" and svg["aria-label"].strip(". "))
        for tag, attributes, _ in self.elements:
            assert tag not in {"script", "link", "iframe", "object", "form"}, tag
            for name, value in attributes.items():
                assert not name.startswith("on"), name
                if name in {"src", "href", "action", "data"}:
                    assert re.match(r"#|data:image/png", value), value
        return self


def made(*folders, notes=()):
    """The page of some folders, as if it were made at `NOW`."""
    runs = arranged([reading.read(folder) for folder in folders])
    defaults = lambda name: ("configs/base.py", {})
    return document.page(runs, now=NOW, defaults=defaults, notes=notes)


def checked(*folders, **options):
    return Page(made(*folders, **options)).checked()
