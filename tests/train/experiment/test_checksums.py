"""Digests of arrays: they see every bit, and not how the arrays are laid out."""

import jax
import numpy as np

from tests.train.experiment.test_checkpoint import tree_on
from train.devices import sharding
from train.experiment import checksums


def test_digests_see_every_bit_and_no_mesh():
    tree = tree_on(sharding.create_mesh((8, 1)))
    expected = checksums.digests(tree)
    places = {
        "a": ("data", None),
        "b": ("data", "model"),
        "key": (),
        "flag": ("model",),
        "noise": (),
    }
    mesh = sharding.create_mesh((4, 2))
    spread = {
        name: jax.device_put(tree[name], jax.NamedSharding(mesh, jax.P(*places[name])))
        for name in tree
    }
    assert checksums.digests(spread) == expected
    bits = np.asarray(tree["a"]).view(np.uint32)
    for entry, bit in ((0, 0), (5, 31), (23, 17)):
        changed = bits.copy()
        changed.reshape(-1)[entry] ^= np.uint32(1 << bit)
        other = tree | {
            "a": jax.device_put(changed.view(np.float32), tree["a"].sharding)
        }
        found = checksums.digests(other)
        assert {
            name for name in tree if found[f"['{name}']"] != expected[f"['{name}']"]
        } == {"a"}


def test_a_digest_depends_on_the_order_of_the_entries():
    tree = tree_on(sharding.create_mesh((8, 1)))
    exchanged = np.asarray(tree["a"]).copy()
    exchanged[[0, -1]] = exchanged[[-1, 0]]
    assert not np.array_equal(exchanged, tree["a"])
    other = tree | {"a": jax.device_put(exchanged, tree["a"].sharding)}
    assert checksums.digests(other)["['a']"] != checksums.digests(tree)["['a']"]
