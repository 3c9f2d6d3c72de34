"""A step that is compiled and not run, and what is said of one that does not fit."""

import pytest

from configs import digits_ikl_at
from train.devices import sharding
from train.experiment import run as runs
from train.planning import compiled

GIB = 2**30


@pytest.mark.parametrize(
    ("message", "needed", "available"),
    [
        ("RESOURCE_EXHAUSTED: Ran out of memory on HBM, the total memory required for HLO "
         "temporaries (335.60G) exceeds available HBM (15.75G).", 335.6 * GIB, 15.75 * GIB),
        ("RESOURCE_EXHAUSTED: Ran out of memory in memory space hbm. Used 1024M of 15.48G "
         "hbm. Exceeded hbm capacity by 1.0M.", GIB, 15.48 * GIB),
    ],
)  # fmt: skip
def test_what_a_refusal_says(message, needed, available):
    found = compiled.refused(message, 2.0)
    assert found == compiled.Refused(
        "the compiler refuses it", round(needed), round(available), 2.0
    )


def test_a_refusal_may_say_nothing():
    found = compiled.refused("RESOURCE_EXHAUSTED: out of something", 2.0)
    assert (found.needed, found.available) == (None, None)


def test_memory_is_all_that_is_held_at_once():
    memory = compiled.Memory(arguments=8, outputs=4, temporaries=2, program=1)
    assert memory.total == 15


def test_errors_other_than_of_memory_are_not_taken_for_it(monkeypatch):
    run = runs.build(digits_ikl_at.get_config("quick"))
    batch = sharding.abstract(next(run.training_batches()), run.mesh)
    del batch["label"]
    with pytest.raises(KeyError, match="label"):
        compiled.step(run, batch)
