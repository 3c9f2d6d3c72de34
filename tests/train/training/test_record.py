"""What a run goes on with from the record that it saved."""

import math
from types import SimpleNamespace

import jax.numpy as jnp
import pytest

from train.base.errors import UserError
from train.experiment.checkpoint import Saved
from train.training.record import RunRecord


class Batches:
    """A data iterator of which only the position matters."""

    def __init__(self):
        self.position = 0

    def set_state(self, position):
        self.position = position


def saved(**changed):
    state = SimpleNamespace(step=jnp.array(7))
    position = {
        "pending": [{"loss": 0.5}], "evaluated": False, "best": 0.8,
        "measure": "pgd20", "batches": 7, "data": "1234",
    }  # fmt: skip
    return Saved(7, state, {**position, **changed})


def record(measure="pgd20"):
    state = SimpleNamespace(step=jnp.array(0))
    return RunRecord(state, Batches(), measure, {"data": "1234"})


def test_a_record_goes_on_from_what_was_saved():
    resumed = record()
    resumed.go_on_from(saved())
    assert resumed.step == 7
    assert resumed.batches.position == 7
    assert resumed.pending == [{"loss": 0.5}]
    assert not resumed.evaluated
    assert resumed.best == 0.8


def test_the_best_score_of_another_measure_does_not_count():
    resumed = record(measure="pgd5")
    resumed.go_on_from(saved())
    assert resumed.best == -math.inf


def test_a_checkpoint_of_an_earlier_version_names_no_measure():
    earlier = saved()
    del earlier.position["measure"]
    resumed = record()
    resumed.go_on_from(earlier)
    assert resumed.step == 7
    assert resumed.best == -math.inf


def test_other_data_are_refused():
    with pytest.raises(UserError, match="data set has changed since step 7"):
        record().go_on_from(saved(data="5678"))
