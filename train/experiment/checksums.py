"""Checksums: of the arrays of a train state, and of small records in JSON.

A flipped bit in a file of an array is restored as another number without complaint, so
checkpoints carry checksums of all that they hold.
"""

import json
import zlib
from typing import Any

import jax
import jax.numpy as jnp

from ikl_jax.types import Array, PyTree
from train.devices import sharding


def seal(content: Any) -> dict[str, Any]:
    """A JSON object that holds `content`, as JSON, and its checksum."""
    text = json.dumps(content)
    return {"text": text, "crc32": zlib.crc32(text.encode())}


def unseal(sealed: Any) -> Any:
    """The content of a sealed object; raises `ValueError` if it has changed."""
    text = sealed["text"]
    if zlib.crc32(text.encode()) != sealed["crc32"]:
        raise ValueError("the checksum of its record does not match")
    return json.loads(text)


def digests(tree: PyTree) -> dict[str, int]:
    """A number for each leaf, which differs if any entry of the leaf does.

    It is the sum, modulo 2^32, of the entries' bits times odd numbers that depend on
    their position. Such a sum has no order, so it is the same on any mesh.
    """
    leaves = jax.tree.leaves_with_path(tree)
    mesh = leaves[0][1].sharding.mesh
    total = jax.jit(_digests, out_shardings=sharding.replicated(mesh))
    values = jax.device_get(total([leaf for _, leaf in leaves]))
    names = [jax.tree_util.keystr(path) for path, _ in leaves]
    return {name: int(value) for name, value in zip(names, values, strict=True)}


def _digests(leaves: list[Array]) -> Array:
    return jnp.stack([_digest(leaf) for leaf in leaves])


def _digest(leaf: Array) -> Array:
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    if leaf.dtype == jnp.bool_:
        leaf = leaf.astype(jnp.uint8)
    unsigned = jnp.dtype(f"uint{8 * min(leaf.dtype.itemsize, 4)}")
    bits = jax.lax.bitcast_convert_type(leaf, unsigned).astype(jnp.uint32)
    place = jnp.zeros(bits.shape, jnp.uint32)
    for axis, size in enumerate(bits.shape):
        index = jax.lax.broadcasted_iota(jnp.uint32, bits.shape, axis)
        place = place * jnp.uint32(size) + index
    odd = place * jnp.uint32(0x9E3779B1) | jnp.uint32(1)
    return jnp.sum(bits * odd, dtype=jnp.uint32)
