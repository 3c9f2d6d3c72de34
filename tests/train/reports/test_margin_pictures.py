"""The pictures of margins and features are drawn from a record and its arrays."""

import json

import numpy as np
import pytest

from train.evaluation.measures.features import numbers
from train.evaluation.measures.margins import parts
from train.reports.measures import features, margins

NAMES = ("$x_0$", "<script>", "a" * 100, "b\x1b[31m")


def part(seed, *, attacked, distances=8):
    rng = np.random.default_rng(seed)
    labels = np.arange(40) % 4
    natural = rng.standard_normal((40, 4)) + np.eye(4)[labels]
    return parts.Part(
        labels, natural, natural - 0.5 if attacked else None,
        np.where(np.arange(distances) == 3, np.inf, rng.random(distances)),
        labels[:distances],
    )  # fmt: skip


def drawn(figure, tmp_path):
    path = tmp_path / "picture.png"
    figure.savefig(path)
    assert path.stat().st_size > 5000


@pytest.mark.parametrize(
    ("attacked", "distances", "panels"), [(True, 8, 3), (False, 0, 2)]
)
def test_margins(tmp_path, attacked, distances, panels):
    given = {"attacked": attacked, "distances": distances}
    found = parts.compared(part(0, **given), part(1, **given), NAMES)
    record = {"epsilon": 0.1, "found": {"distance_norm": "linf", **found}}
    figure = margins.draw(json.loads(json.dumps(record)), {})
    assert len(figure.axes) == panels
    names = {label.get_text() for label in figure.axes[1].get_yticklabels()}
    assert r"\$x_0\$" in names
    assert max(map(len, names)) <= 20
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert len(legend) == (4 if attacked else 2)
    drawn(figure, tmp_path)


@pytest.mark.parametrize("attacked", [True, False])
def test_features(tmp_path, attacked):
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 4
    natural = rng.standard_normal((40, 3))
    found = numbers.found(labels, natural, natural + 1 if attacked else None, NAMES, 4)
    places = rng.standard_normal((2, 40, 2))
    arrays = {"map_label": labels, "map_natural": places[0]}
    if attacked:
        arrays["map_adversarial"] = places[1]
    record = json.loads(json.dumps({"found": found}))
    figure = features.draw(record, arrays)
    assert len(figure.axes) == 2
    assert len(figure.axes[0].collections) == 1 + attacked
    bars = figure.axes[1].patches
    assert len(bars) == (5 if attacked else 2)
    drawn(figure, tmp_path)
    assert len(features.draw(record, {}).axes) == 1  # no map was made
