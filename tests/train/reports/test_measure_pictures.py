"""Pictures of measures are drawn from any record, whatever names classes have."""

import io

import numpy as np
import pytest

from train.data.splits import DataSet, InMemory
from train.evaluation.measures import calibration, classes, ood
from train.evaluation.measures.registry import MEASURES
from train.evaluation.outputs import Outputs
from train.reports.measures import PICTURES

RNG = np.random.default_rng(0)


def drawn(name, found, arrays):
    file = io.BytesIO()
    PICTURES[name]({"found": found}, arrays).savefig(file, format="png")
    assert file.getvalue().startswith(b"\x89PNG")


def test_every_picture_is_of_a_measure():
    assert PICTURES.keys() <= MEASURES.keys()


@pytest.mark.parametrize("fitted", [False, True])
def test_calibration(fitted):
    logits, labels = RNG.normal(size=(50, 3)), RNG.integers(0, 3, 50)
    found = calibration.found(logits, labels, bins=7, resamples=2, seed=0)
    after = {"temperature": 2.0, "after_temperature": dict(found)}
    none = {"temperature": None, "after_temperature": None}
    drawn("calibration", {**found, **(after if fitted else none)}, {})


def test_ood():
    draw = lambda: {"energy": RNG.normal(size=20), "maximum_logit": RNG.normal(size=20)}
    drawn("ood", {"scores": ood.found(draw(), draw())}, {})


@pytest.mark.parametrize("attacked", [False, True])
def test_classes_with_any_names(attacked):
    names = ("$x$ <script>", "كلب" * 40, "a_b^{")
    labels = RNG.integers(0, 3, 30)
    natural, other = (
        Outputs(np.arange(30), labels, RNG.normal(size=(30, 3))) for _ in range(2)
    )
    none = InMemory(np.zeros((1, 2, 2, 1), np.uint8), np.zeros(1, np.int32))
    data = DataSet(none, none, 3, (2, 2, 1), names)
    arrays = classes.arrays(natural, other if attacked else None)
    found = {"attack_name": "pgd20", **classes.found(natural, arrays, data)}
    drawn("classes", found, {**arrays, "class_names": np.array(names)})
