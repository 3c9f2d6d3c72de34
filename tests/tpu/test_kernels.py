"""The kernels of the losses: compiled for a chip, what they keep and what moves."""

import functools
import itertools
import re

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import NamedSharding, PartitionSpec, SingleDeviceSharding

from ikl_jax import kernels
from tests.conftest import case_rows
from tests.tpu import programs
from train.devices import topology

pytestmark = programs.MARKS

SIZES = [(256, 1000), (64, 32_000), (8, 152_000)]
DTYPES = [jnp.float32, jnp.bfloat16]
CHIPS = ["v4:2x2x1", "v5e:2x2", "v5p:2x2x1", "v6e:2x2"]
LOSSES = {
    "kl": lambda n, m, w, **rest: kernels.kl_divergence(n, m, **rest),
    "soft_ce": lambda n, m, w, **rest: kernels.soft_cross_entropy(n, m, **rest),
    "kd": lambda n, m, w, **rest: kernels.kd_loss(n, m, **rest),
    "dkl": lambda n, m, w, **rest: kernels.dkl_loss(n, m, **rest),
    "ikl": lambda n, m, w, **rest: kernels.ikl_loss(n, m, w, alpha=20.0, **rest),
    "ikl_sample": lambda n, m, w, **rest: kernels.ikl_loss(n, m, **rest),
    "gkl": lambda n, m, w, **rest: kernels.gkl_loss(n, m, w, gamma=0.5, **rest),
}


def compiled(function, *shapes, dtype=jnp.float32, chips=programs.CHIPS):
    place = SingleDeviceSharding(topology.devices(chips)[0])
    given = [jax.ShapeDtypeStruct(shape, dtype, sharding=place) for shape in shapes]
    return programs.compiled(jax.jit(function), *given)


def made(program, shape):
    """How many instructions of a program write an array of that shape."""
    of = ",".join(map(str, shape))
    found = 0
    for line in program.as_text().splitlines():
        match = re.match(r"\s*(?:ROOT )?%\S+ = (.*?) ([a-z-]+)\(", line)
        if match and match[2] not in ("parameter", "tuple", "get-tuple-element"):
            found += f"[{of}]" in match[1]
    return found


def small_arrays(batch):
    """Bytes of eight arrays with a number for each row, each as wide as a register."""
    return 8 * batch * 4 * 128


def gradients(loss, **rest):
    return jax.value_and_grad(lambda n, m, w: loss(n, m, w, **rest).mean(), (0, 1))


@pytest.mark.parametrize(
    ("classes", "name", "dtype"),
    case_rows(
        itertools.product([None, 256], LOSSES, DTYPES),
        quick=[
            *itertools.product([None], LOSSES, DTYPES),
            (256, "kl", jnp.float32),
            (256, "ikl", jnp.float32),
            (256, "gkl", jnp.bfloat16),
        ],
    ),
)
def test_every_loss_and_its_gradients_compile_without_a_temporary(classes, name, dtype):
    shape = (64, 1000)
    loss = functools.partial(LOSSES[name], form=kernels.Mosaic(classes=classes))
    program = compiled(gradients(loss), shape, shape, shape, dtype=dtype)
    assert program.as_text().count('custom_call_target="tpu_custom_call"') >= 2
    assert program.memory_analysis().temp_size_in_bytes <= small_arrays(shape[0])


@pytest.mark.parametrize("shape", SIZES)
def test_a_weighted_sum_is_one_kernel_that_writes_once(shape):
    loss = functools.partial(LOSSES["ikl"], form=kernels.Mosaic())

    def total(n, m, w, each):
        of = lambda n, m: loss(n, m, w, example_weights=each)
        return jax.value_and_grad(of, (0, 1))(n, m)

    program = compiled(total, shape, shape, shape, shape[:1])
    assert program.as_text().count('custom_call_target="tpu_custom_call"') == 1
    # XLA turns 256 x 1000 round where it is an argument of the program, and back again.
    assert made(program, shape) == 1 or shape == SIZES[0]
    assert program.memory_analysis().temp_size_in_bytes <= small_arrays(shape[0])


@pytest.mark.parametrize(("classes", "is_kernel"), [(1000, False), (8192, True)])
def test_the_kernel_is_chosen_by_size(classes, is_kernel):
    shape = (64, classes)
    program = compiled(gradients(LOSSES["kl"]), shape, shape, shape)
    assert ("tpu_custom_call" in program.as_text()) == is_kernel


@pytest.mark.parametrize(
    ("chips", "shape", "dtype"),
    case_rows(
        itertools.product(CHIPS, SIZES, DTYPES),
        quick=[("v4:2x2x1", shape, jnp.float32) for shape in SIZES],
    ),
)
def test_what_is_chosen_compiles_for_every_chip(chips, shape, dtype):
    loss = functools.partial(LOSSES["ikl"], form=kernels.Chosen(least=1))
    program = compiled(gradients(loss), shape, shape, shape, dtype=dtype, chips=chips)
    assert program.as_text().count('custom_call_target="tpu_custom_call"') == 2


def test_a_stopped_teacher_costs_nothing():
    shape = (64, 4096)
    loss = functools.partial(LOSSES["ikl"], form=kernels.Mosaic())
    student = jax.value_and_grad(lambda n, m, w: loss(n, m, w).mean())
    program = compiled(student, shape, shape, shape)
    assert made(program, shape) == 1
    assert program.memory_analysis().output_size_in_bytes < 1.1 * 4 * 64 * 4096


@pytest.mark.parametrize("classes", [None, 1024])
def test_rows_divided_by_shard_map_stay_where_they_are(classes):
    mesh = programs.create_mesh()
    rows = PartitionSpec("data")
    place = NamedSharding(mesh, rows)
    given = jax.ShapeDtypeStruct((64, 4096), jnp.float32, sharding=place)
    form = kernels.Mosaic(classes=classes)

    @jax.shard_map(mesh=mesh, in_specs=(rows, rows), out_specs=rows)
    def losses(n, m):
        return kernels.ikl_loss(n, m, form=form)

    both = jax.value_and_grad(lambda n, m: losses(n, m).mean(), (0, 1))
    program = programs.compiled(jax.jit(both), given, given)
    moved = programs.moved(program)
    assert not {kind for kind, _ in moved.arrays} & set(programs.GATHERS)
    assert moved.num_bytes("all-reduce") <= 4 + programs.BARRIER
