"""Mean, median, quantiles and histograms, with values that are not known."""

import json

import numpy as np
import pytest

from train.evaluation.measures.margins import summary


def test_numbers_of_known_values_and_the_count_of_the_others():
    values = np.array([5.0, np.inf, 1.0, 2.0, np.inf, 4.0, 3.0], np.float32)
    found = summary.described(values)
    assert found == {
        "examples": 7, "unknown": 2, "mean": 3.0, "median": 3.0,
        "q05": pytest.approx(1.2), "q25": 2.0, "q75": 4.0, "q95": pytest.approx(4.8),
    }  # fmt: skip
    json.dumps(found, allow_nan=False)


def test_no_value_is_known():
    assert summary.described(np.full(3, np.inf)) == {"examples": 3, "unknown": 3}
    assert summary.histograms(all=np.full(3, np.inf)) == {}


def test_histograms_share_bins_and_count_every_known_value():
    rng = np.random.default_rng(0)
    train, test = rng.standard_normal(100), 3 + rng.standard_normal(50)
    test[:4] = np.inf
    found = summary.histograms(train=train, test=test)
    assert (sum(found["train"]), sum(found["test"])) == (100, 46)
    edges = np.array(found["edges"])
    known = np.concatenate([train, test[4:]])
    assert (edges[0], edges[-1]) == (known.min(), known.max())
    inside = (train >= edges[10]) & (train < edges[11])
    assert found["train"][10] == inside.sum() > 0


@pytest.mark.parametrize("values", [[2.0, 2.0], [1e6, 1e6 + 1e-9], [0.3]])
def test_values_that_hardly_differ_have_a_histogram(values):
    found = summary.histograms(all=np.array(values))
    assert sum(found["all"]) == len(values)
    assert np.diff(found["edges"]).min() > 0.01
