"""Batches on the devices, whatever the order of the devices in the mesh."""

import json
import socket
import subprocess
import sys

import jax
import numpy as np
import pytest
from jax.sharding import AxisType, Mesh

from tests.conftest import ROOT
from tests.support.commands import environment
from train.devices import sharding

COLUMNS = {
    "label": np.arange(24),
    "unlabelled": np.arange(168 * 3).reshape(168, 3),  # seven times as many
}


def check(mesh, columns):
    """Puts a process's rows on its devices, and checks each of these."""
    local = {
        name: column[sharding.local_rows(len(column), mesh)]
        for name, column in columns.items()
    }
    arrays = sharding.put(local, mesh)
    assert arrays.keys() == columns.keys()
    for name, array in arrays.items():
        assert array.shape == columns[name].shape
        assert array.sharding == sharding.over_batch(mesh)
        for shard in array.addressable_shards:
            np.testing.assert_array_equal(shard.data, columns[name][shard.index])
    return {name: len(column) for name, column in local.items()}


@pytest.mark.parametrize("shape", [(8, 1), (2, 4), (1, 8)])
def test_columns_of_different_sizes(shape):
    sizes = check(sharding.create_mesh(shape), COLUMNS)
    assert sizes == {"label": 24, "unlabelled": 168}


def test_a_batch_without_arrays_has_the_same_shapes():
    mesh = sharding.create_mesh((4, 2))
    batch = {"image": np.zeros((16, 5, 3), np.uint8), "label": np.zeros(8, np.int32)}
    arrays = sharding.put(batch, mesh)
    described = lambda leaf: (leaf.shape, leaf.dtype, leaf.sharding)
    assert jax.tree.map(described, sharding.abstract(batch, mesh)) == jax.tree.map(
        described, arrays
    )


def test_devices_in_any_order():
    order = np.random.default_rng(0).permutation(8).reshape(4, 2)
    devices = np.array(jax.devices())[order]
    check(Mesh(devices, ("data", "model"), axis_types=(AxisType.Auto,) * 2), COLUMNS)


PROCESS = """
import json, sys
import jax, numpy as np
from jax.sharding import AxisType, Mesh
from tests.train.devices.test_batches import COLUMNS, check

port, index, count, order = *map(int, sys.argv[1:4]), json.loads(sys.argv[4])
jax.distributed.initialize(f"127.0.0.1:{port}", count, index)
devices = sorted(jax.devices(), key=lambda device: device.id)
mesh = Mesh(np.array(devices)[np.array(order)], ("data", "model"),
            axis_types=(AxisType.Auto,) * 2)
print(json.dumps(check(mesh, COLUMNS)))
"""


def rows_of_processes(count, order):
    """How many rows each of `count` processes reads; each checks where they go."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(port), str(index), str(count),
             json.dumps(order)],
            cwd=ROOT, env=environment(devices=2), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )
        for index in range(count)
    ]  # fmt: skip
    try:
        done = [process.communicate(timeout=200) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * count, done
    return [json.loads(out.splitlines()[-1]) for out, _ in done]


@pytest.mark.long
def test_two_processes_whose_rows_alternate():
    halves = rows_of_processes(2, [[0], [2], [1], [3]])
    assert halves == [{"label": 12, "unlabelled": 84}] * 2


@pytest.mark.slow
def test_processes_that_hold_shares_of_different_sizes():
    """Two devices each, of which the second process's lie in both rows of the mesh."""
    found = rows_of_processes(3, [[0, 1, 2], [3, 4, 5]])
    assert [each["label"] for each in found] == [12, 24, 12]
