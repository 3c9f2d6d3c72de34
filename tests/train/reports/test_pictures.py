"""Pictures are drawn from records and their arrays, and reports know no model."""

import ast

import matplotlib.pyplot as plt
import numpy as np
import pytest

from tests.conftest import ROOT
from train.evaluation.batch_attack import PgdAttack
from train.evaluation.predictions import AttackedImages
from train.reports import pictures

RECORD = {
    "norm": "linf", "epsilon": 0.1, "version": "standard",
    "robust_accuracy": {"autoattack_standard": 0.5},
}  # fmt: skip


def images(channels):
    rng = np.random.default_rng(0)
    x = rng.random((3, 6, 6, channels)).astype(np.float32)
    return x, np.clip(x + rng.choice([-0.1, 0.1], x.shape).astype(np.float32), 0, 1)


def shape(path):
    height, width, _ = plt.imread(path).shape
    return height, width


@pytest.mark.parametrize("channels", [1, 3])
def test_a_robustness_picture_has_the_images_that_broke(tmp_path, channels):
    x, x_adv = images(channels)
    curve = {
        "distance": np.array([0.0, 0.05, 0.2, 0.15]), "label": np.array([0, 1, 2, 3])
    }  # fmt: skip
    broken = {
        "image": x, "image_adversarial": x_adv, "image_index": np.array([1, 2, 3]),
        "image_predicted": np.array([1, 2, 3]),
        "image_predicted_adversarial": np.array([0, 0, 3]),
    }  # fmt: skip
    pictures.save_robustness(tmp_path / "curve.png", RECORD, curve)
    pictures.save_robustness(tmp_path / "both.png", RECORD, curve | broken)
    below, above = shape(tmp_path / "curve.png"), shape(tmp_path / "both.png")
    assert below[1] == above[1]
    assert above[0] > 1.5 * below[0]


def test_images_that_were_not_attacked_are_one_row(tmp_path):
    x, x_adv = images(1)
    labels, attack = np.arange(3), PgdAttack(epsilon=0.1)
    attacked = AttackedImages(x, labels, labels, x_adv, labels)
    pictures.save(tmp_path / "three.png", attacked, attack)
    plain = AttackedImages(x, labels, labels)
    pictures.save(tmp_path / "one.png", plain, attack)
    assert shape(tmp_path / "three.png")[0] > 2 * shape(tmp_path / "one.png")[0]


def modules(path):
    """Dotted names of what a file imports, `from a import b` as a.b."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_reports_read_files_and_records_never_a_model():
    allowed = (
        "train.base",
        "train.reports",
        "train.evaluation.predictions",
        "train.evaluation.batch_attack",
        "train.evaluation.records",
        "train.experiment.finished",
        "train.experiment.metrics_log",
        "train.experiment.settings",
    )
    for path in sorted((ROOT / "train" / "reports").rglob("*.py")):
        for module in modules(path):
            package = module.split(".")[0]
            assert package not in {"jax", "flax", "ikl_jax"}, (path.name, module)
            assert package != "train" or module.startswith(allowed), (path.name, module)
