"""The kernel for GPUs: lowered without one, its choice, and bad input."""

import functools
import re
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractDevice, AbstractMesh, AxisType, PartitionSpec

import ikl_jax
from ikl_jax import kernels
from ikl_jax.kernels import triton
from tests.conftest import case_rows
from tests.ikl_jax.kernels.cases import NAMES, ON_GPU

# JAX 0.12 warns that it will drop Pallas' Triton.
pytestmark = pytest.mark.filterwarnings("ignore:The Pallas Triton backend")

SHAPE = (6, 5000)
CALL = "__gpu$xla.gpu.triton"
H100 = AbstractDevice(device_kind="NVIDIA H100", num_cores=None, platform="cuda")


def lowered(function, *arguments):
    """The program for a GPU, which JAX 0.12 wants to know by name."""
    mesh = AbstractMesh((), (), abstract_device=H100)
    with jax.sharding.use_abstract_mesh(mesh):
        traced = jax.jit(function).trace(*arguments)
        return traced.lower(lowering_platforms=("cuda",)).as_text()


def arrays(count, dtype):
    return [jax.ShapeDtypeStruct(SHAPE, dtype)] * count


def total(name, form):
    """A sum of a loss with its gradients, of logits, a mask and maybe weights."""

    def function(n, m, where, *weights):
        each = jnp.ones(len(n))
        of = functools.partial(getattr(kernels, name), form=form, example_weights=each)
        losses = lambda n, m: of(n, m, *weights, where=where)
        return jax.value_and_grad(losses, (0, 1))(n, m)

    return function


@pytest.mark.parametrize(
    ("name", "dtype"),
    case_rows(
        [(name, dtype) for name in NAMES for dtype in ("float32", "bfloat16")],
        quick=[("kl_divergence", "float32"), ("ikl_loss", "bfloat16")],
        mark=pytest.mark.long,
    ),
)
def test_a_sum_with_its_gradients_is_one_kernel(name, dtype):
    mask = jax.ShapeDtypeStruct(SHAPE, jnp.bool_)
    n, m, *weights = arrays(2 + NAMES[name], dtype)
    text = lowered(total(name, kernels.Triton()), n, m, mask, *weights)
    normalizers = 1 if name == "gkl_loss" else 0
    assert text.count(CALL) == 1 + normalizers


def test_no_maximum_leaves_out_nan():
    # Triton's maximum of a number and NaN is the number: KL would be zero.
    jaxpr = jax.make_jaxpr(
        functools.partial(kernels.kl_divergence, form=kernels.Triton())
    )(*arrays(2, jnp.float32))
    assert "reduce_max" in str(jaxpr)
    assert not re.search(r"= (max|min) ", str(jaxpr))


def test_what_is_beyond_the_last_class_is_masked():
    passes = types.SimpleNamespace(width=128, classes=300)
    row = triton._Row(None, passes, [], [], 1)
    counts = [int(row.view(jnp.zeros((2, 300)), block)[1].sum()) for block in range(3)]
    assert counts == [128, 128, 44]
    assert row.view(jnp.zeros((2, 1)), 0)[1] is None


def test_it_is_chosen_where_it_is_asked_for():
    asked = kernels.Chosen(triton=kernels.Triton())
    for form, is_kernel in ((kernels.Chosen(), False), (asked, True)):
        loss = functools.partial(kernels.kl_divergence, form=form)
        text = lowered(loss, *arrays(2, jnp.float32))
        assert (CALL in text) == is_kernel
    n, m = (jnp.ones(SHAPE).at[:, i].set(0.0) for i in range(2))
    np.testing.assert_allclose(
        jax.jit(loss)(n, m), ikl_jax.kl_divergence(n, m), rtol=1e-6
    )


def test_vmap_and_shard_map():
    loss = functools.partial(kernels.ikl_loss, form=kernels.Triton())
    n, m = (jax.ShapeDtypeStruct((2, *SHAPE), jnp.float32) for _ in range(2))
    assert lowered(jax.vmap(loss), n, m).count(CALL) == 1
    mesh = AbstractMesh(
        (2,), ("data",), axis_types=(AxisType.Auto,), abstract_device=H100
    )
    rows = PartitionSpec("data")
    each = jax.shard_map(loss, mesh=mesh, in_specs=(rows, rows), out_specs=rows)
    with jax.sharding.use_abstract_mesh(mesh):
        traced = jax.jit(each).trace(n, m)
        text = traced.lower(lowering_platforms=("cuda",)).as_text()
    assert text.count(CALL) == 1


def test_float16():
    n, m = np.random.default_rng(0).normal(size=(2, 3, 200)).astype(np.float16)
    found = kernels.ikl_loss(n, m, form=ON_GPU)
    assert found.dtype == jnp.float16
    np.testing.assert_allclose(found, ikl_jax.ikl_loss(n, m), rtol=2e-3)


def test_bad_input():
    with pytest.raises(ValueError, match="classes must be a power of two, 128 at le"):
        kernels.Triton(classes=1000)
    with pytest.raises(ValueError, match="warps must be a power of two, 1 at least"):
        kernels.Triton(warps=0)
    mask = jax.ShapeDtypeStruct((2**14, 2**17), jnp.int8)
    assert "mask of less than 2^31 entries" in kernels.Triton().problem([mask])
    mask = jax.ShapeDtypeStruct((2**14 - 1, 2**17), jnp.int8)
    assert kernels.Triton().problem([mask]) is None
