"""The losses of a linear head: what moves between chips, and memory at full size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec, SingleDeviceSharding

from ikl_jax import linear_head
from ikl_jax.linear_head import Head, TopK, TopKWithRest
from ikl_jax.linear_head.layout import Layout
from tests.tpu import programs
from train.devices import sharding, topology
from train.planning import hlo

pytestmark = programs.MARKS

CHIPS, SIDE = "v5e:4x4", 4
T, H, V, K, CHUNK = 1024, 48, 640, 8, 256
ROWS = CHUNK // SIDE

LOSSES = {
    "ikl, logits": (linear_head.ikl_loss, lambda x: x["logits"]),
    "kl, heads": (
        linear_head.kl_divergence, lambda x: Head(x["teacher hidden"], x["teacher kernel"]),
    ),
    "gkl, top k": (linear_head.gkl_loss, lambda x: TopK(x["top"], x["indices"])),
    "kd, top k with rest": (
        linear_head.kd_loss, lambda x: TopKWithRest(x["top"], x["indices"], x["rest"]),
    ),
}  # fmt: skip


def shapes(place):
    """Of all arguments; `place` makes a sharding of the axes of an array."""
    of = lambda shape, axes, dtype=jnp.bfloat16: jax.ShapeDtypeStruct(
        shape, dtype, sharding=place(*axes)
    )
    return {
        "hidden": of((T, H), ("data",)),
        "kernel": of((H, V), (None, "model")),
        "teacher hidden": of((T, 80), ("data",)),
        "teacher kernel": of((80, V), (None, "model")),
        "logits": of((T, V), ("data", "model")),
        "top": of((T, K), ("data",), jnp.float32),
        "indices": of((T, K), ("data",), jnp.int32),
        "rest": of((T,), ("data",), jnp.float32),
        "each": of((T,), ("data",), jnp.float32),
    }


@pytest.mark.parametrize("name", LOSSES)
def test_no_logits_are_gathered_and_the_kernels_gradient_is_summed_once(name):
    mesh = sharding.create_mesh((SIDE, SIDE), topology.devices(CHIPS))
    given = shapes(lambda *axes: NamedSharding(mesh, PartitionSpec(*axes)))
    loss, target = LOSSES[name]

    def gradients(hidden, kernel, x):
        of = lambda h, w: loss(
            Head(h, w), target(x), example_weights=x["each"], chunk_size=CHUNK
        )
        return jax.value_and_grad(of, (0, 1))(hidden, kernel)

    places = given["hidden"].sharding, given["kernel"].sharding
    whole = NamedSharding(mesh, PartitionSpec())
    jitted = jax.jit(gradients, out_shardings=(whole, places))
    program = programs.compiled(jitted, given["hidden"], given["kernel"], given)
    found = hlo.collectives(program.as_text())
    assert {each.kind for each in found} == {"all-reduce"}
    of_kernel, of_rows = [], set()
    for each in found:
        for array in each.arrays:
            size = int(np.prod(array.shape))
            if size == H * V // SIDE:
                of_kernel.append(each.times)
            else:
                of_rows.add(size)
    assert of_kernel == [1]
    # Sums of the tokens, the top k's logits, and the gradient of the hidden states.
    assert of_rows <= {1, ROWS, ROWS * K, ROWS * H}


@pytest.mark.parametrize(
    ("form", "classes", "chunks"),
    # Logits of a width that is no multiple of 128 would be copied whole.
    [("head", 152_000, 3), ("top k", 152_000, 3), ("logits", 152_064, 1)],
)
def test_memory_at_the_scale_of_a_language_model(form, classes, chunks):
    tokens, width, k = 8192, 2048, 64
    place = SingleDeviceSharding(topology.devices("v5e:2x2")[0])
    of = lambda *shape, dtype=jnp.bfloat16: jax.ShapeDtypeStruct(
        shape, dtype, sharding=place
    )
    student = of(tokens, width), of(width, classes)
    given = student
    if form == "top k":
        given = of(tokens, k), of(tokens, k, dtype=jnp.int32)
    if form == "logits":
        given = (of(tokens, classes),)
    made = {"head": Head, "top k": TopK, "logits": jnp.asarray}[form]

    def gradients(student, target):
        loss = lambda s: linear_head.ikl_loss(
            Head(*s), made(*target), example_weights=jnp.ones(tokens)
        )
        return jax.value_and_grad(loss)(student)

    program = programs.compiled(jax.jit(gradients), student, given)
    chunk = 4 * classes * Layout.create(tokens, classes, None).size
    gradients_bytes = 4 * width * (classes + tokens)
    found = program.memory_analysis().temp_size_in_bytes
    print(f"{(found - gradients_bytes) / chunk:.2f} chunks of {chunk / 1e9:.2f} GB")
    assert found <= chunks * chunk + gradients_bytes
