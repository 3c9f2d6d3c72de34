"""A run that has finished is not trained again, unless it is to have more epochs."""

import pytest
from rich.console import Console

from configs import digits_ikl_at
from train.base import files
from train.experiment import settings
from train.training import loop

RESULT = {
    "steps": 44, "seconds": 1.5, "natural_accuracy": 0.5, "robust_accuracy": {},
    "num_examples": 360, "dataset": "digits", "evaluated_on": "test", "weights": "last",
}  # fmt: skip


@pytest.mark.parametrize(("epochs", "trained"), [(2, False), (3, True), (1, True)])
def test_only_the_same_number_of_epochs_counts_as_finished(
    tmp_path, monkeypatch, epochs, trained
):
    config = digits_ikl_at.get_config("natural,quick")
    config.epochs = 2
    settings.claim(tmp_path / "run", config)
    before = {**RESULT, "epochs": 2}
    files.write_whole(tmp_path / "run" / "result.json", files.to_json(before))
    calls = []
    monkeypatch.setattr(
        loop,
        "_train",
        lambda run, *_: calls.append(run) or {"epochs": run.config.epochs},
    )
    monkeypatch.setattr(loop.tables, "table", lambda results: "")
    config.epochs = epochs
    result = loop.train(config, tmp_path / "run", Console(quiet=True))
    assert bool(calls) == trained
    assert result == (before if not trained else {"epochs": epochs})
