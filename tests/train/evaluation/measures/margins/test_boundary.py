"""Distances that an AutoAttack of the same weights has left."""

import types

import numpy as np
import pytest

from train.evaluation import records
from train.evaluation.judgement import Judgement
from train.evaluation.measures.margins import boundary

ARGUMENTS = {"weights_checksum": "w", "data_fingerprint": "d", "dtype": "float32"}


def target(workdir):
    def arguments(count):
        return {**ARGUMENTS, "num_examples": count}

    return types.SimpleNamespace(workdir=workdir, arguments=arguments)


def attacked(count, **changes):
    """The judgement of an AutoAttack on the first examples; distances are indices."""
    index = np.arange(count)
    arguments = {**ARGUMENTS, "attack": "autoattack", "norm": "linf",
                 "num_examples": count, **changes}  # fmt: skip
    results = {"robust_accuracy": {}}
    arrays = {"index": index, "distance": index.astype(np.float32)}
    return Judgement("autoattack", arguments, results, arrays)


def test_the_record_of_most_examples_is_taken(tmp_path):
    for count in (5, 30, 20):
        records.add(tmp_path, attacked(count))
    found = boundary.stored(target(tmp_path), 25, "linf")
    np.testing.assert_array_equal(found.rows, np.arange(25))
    np.testing.assert_array_equal(found.distances, np.arange(25))
    assert found.source == attacked(30).key


@pytest.mark.parametrize(
    "change",
    [{"norm": "l2"}, {"weights_checksum": "v"}, {"data_fingerprint": "e"},
     {"dtype": "bfloat16"}, {"attack": "pgd"}],
)  # fmt: skip
def test_records_of_something_else_are_not(tmp_path, change):
    records.add(tmp_path, attacked(10, **change))
    assert boundary.stored(target(tmp_path), 10, "linf") is None


def test_an_autoattack_without_distances_or_a_damaged_file(tmp_path):
    judgement = attacked(10)
    del judgement.per_example["distance"]
    records.add(tmp_path, judgement)
    assert boundary.stored(target(tmp_path), 10, "linf") is None
    records.add(tmp_path, attacked(20))
    (tmp_path / attacked(20).per_example_file).write_bytes(b"damaged")
    assert boundary.stored(target(tmp_path), 10, "linf") is None
    records.add(tmp_path, attacked(3))
    assert len(boundary.stored(target(tmp_path), 10, "linf").rows) == 3


def test_a_workdir_without_records(tmp_path):
    assert boundary.stored(target(tmp_path), 10, "linf") is None
