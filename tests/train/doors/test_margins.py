"""`python -m train.margins` on folders of runs, from their files alone."""

import json

import pytest

from configs import base
from tests.train.reports.test_generalisation import record
from train import margins
from train.experiment import settings


def folder(path, number, *, rate=0.1, seed=0, **changes):
    path.mkdir()
    config = base.get_config()
    config.optimizer.learning_rate, config.seed = rate, seed
    (path / "config.json").write_text(settings.to_json(config))
    stored = {"a record": record(number, **changes)}
    (path / "evaluation.json").write_text(json.dumps(stored))
    return str(path)


@pytest.fixture
def runs(tmp_path):
    """Two seeds of one learning rate, and two other learning rates."""
    given = [(0.1, 0), (0.1, 1), (0.2, 0), (0.3, 0)]
    return [
        folder(tmp_path / f"run_{number}", number, rate=rate, seed=seed)
        for number, (rate, seed) in enumerate(given)
    ]


def test_what_is_printed_and_drawn(runs, tmp_path, capsys):
    output = tmp_path / "gaps.png"
    assert margins.main([*runs, f"--output={output}"]) == 0
    told = capsys.readouterr().out
    assert "run_3" in told
    assert "logit margin and natural gap: Spearman's -0.80 over 4 runs, exact" in told
    assert "\ndistance and robust gap: Spearman's +0.80" in told
    assert "These are 4 runs of 3 settings" in told
    assert f"picture: {output}" in told
    assert output.read_bytes().startswith(b"\x89PNG")


def test_the_part_whose_margins_are_taken(runs, capsys):
    assert margins.main([*runs, "--part=test"]) == 0
    told = capsys.readouterr().out
    assert "Mean margins of the test part" in told
    assert "distance" not in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name one or more runs"),
        (("RUNS", "--output=gaps.jpg"), "--output must be a .png file, got gaps.jpg"),
        (("RUNS", "--part=validation"), "--part"),
        (("FIRST",), "3 runs or more, got 1"),
        (("RUNS", "EMPTY"), "no record of margins: python -m train.evaluate"),
    ],
)
def test_bad_input(runs, tmp_path, arguments, message, capsys):
    empty = folder(tmp_path / "empty", 0, measure="classes")
    names = {"RUNS": runs, "FIRST": runs[:1], "EMPTY": [empty]}
    given = [each for name in arguments for each in names.get(name, [name])]
    assert margins.main(given) != 0
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
