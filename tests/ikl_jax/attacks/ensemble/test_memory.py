"""Examples stay on the host: only batches are put on a device."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax import attacks
from tests.ikl_jax.attacks.ensemble.problems import data, evaluate

COUNT, BATCH = 60, 12


@pytest.fixture
def put_sizes(monkeypatch):
    """The number of rows of whatever is put on a device, or lies there."""
    sizes = []

    def watch(function):
        def watched(array, *args, **settings):
            result = function(array, *args, **settings)
            if isinstance(array, np.ndarray) and array.ndim > 1:
                sizes.append(len(array))
            return result

        return watched

    for module, name in ((jnp, "asarray"), (jnp, "array"), (jax, "device_put")):
        monkeypatch.setattr(module, name, watch(getattr(module, name)))
    return sizes


def lying_on_devices(shape):
    return max(len(array) for array in jax.live_arrays() if array.shape[1:] == shape)


@pytest.mark.long
@pytest.mark.parametrize("name", ["autoattack", "distances"])
def test_no_more_than_a_batch_of_the_examples_is_on_a_device(name, put_sizes):
    shape = (5, 7, 1)
    logits_fn, x, labels = data(count=COUNT, shape=shape)
    put_sizes.clear()
    rows = []
    report = lambda *_: rows.append(lying_on_devices(shape))
    if name == "autoattack":
        evaluate(
            logits_fn, x, labels, version=["apgd-ce"], batch_size=BATCH, report=report
        )
    else:
        attacks.distances(
            logits_fn, x, labels, steps=2, targets=1, batch_size=BATCH, report=report
        )
    assert rows
    assert max(rows) == BATCH
    assert put_sizes
    assert max(put_sizes) == BATCH
