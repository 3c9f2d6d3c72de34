"""What is known of chips, and what TPU's own compiler says of them."""

from types import SimpleNamespace

import jax
import pytest

from train.devices import sharding, topology
from train.planning import chips, compiled

GIB = 2**30


def device(kind, cores):
    return SimpleNamespace(device_kind=kind, num_cores=cores)


def test_a_device_is_a_chip_or_one_of_its_cores():
    assert chips.of(device("TPU v4", 2)) == chips.V4
    half = chips.of(device("TPU v4", 1))
    assert (half.memory, half.tflops, half.cores) == (30.75 / 2, 275 / 2, 1)
    assert chips.of(device("TPU v5 lite", 1)) == chips.V5E
    assert chips.of(device("TPU v9", 1)) is None


@pytest.mark.tpu
@pytest.mark.parametrize("name", ["v4:2x2x1", "v5e:2x2", "v5p:2x2x1", "v6e:2x2"])
def test_the_compiler_leaves_a_program_the_memory_of_the_table(name):
    mesh = sharding.create_mesh((-1, 1), topology.devices(name))
    place = sharding.replicated(mesh)
    x = jax.ShapeDtypeStruct((300_000, 256), "float32", sharding=place)
    with pytest.raises(jax.errors.JaxRuntimeError) as error:
        jax.jit(lambda x: x @ x.T).lower(x).compile()
    found = compiled.refused(str(error.value), 0.0)
    assert found.needed > 300e9
    chip = chips.of(mesh.devices.flat[0])
    assert found.available == round(chip.memory * GIB)
    assert chip.name == name.split(":")[0]
