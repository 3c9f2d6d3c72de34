"""What the compiled training step moves between devices, and what that grows with."""

import collections
import dataclasses
import functools
from functools import partial

import jax
import jax.numpy as jnp
import pytest

from benchmarks import compiled_step, scaling
from benchmarks.compiled_step import Cost, Setting
from ikl_jax import awp
from train.base.errors import UserError
from train.devices import sharding
from train.planning import hlo

# Both sides of the classifier are large enough to be divided, and 8 divides them.
SMALL = Setting(devices=8, model="cnn", classes=72, batch_size=16, attack_steps=1)


def moved(**changed):
    """Each kind of collective and array that the step moves, with how often."""
    return _moved(dataclasses.replace(SMALL, **changed))


@functools.cache
def _moved(setting):
    compiled = compiled_step.compile_step(setting, compiled_step.create_mesh(setting))
    return collections.Counter(
        (collective.kind, array)
        for collective in hlo.collectives(compiled.as_text())
        for array in collective.arrays
    )


def parameter_shapes(setting):
    model = setting.create_model()
    image = jnp.zeros((1, *compiled_step.IMAGE_SHAPE))
    variables = jax.eval_shape(model.init, jax.random.key(0), image)
    return [leaf.shape for leaf in jax.tree.leaves(variables["params"])]


def entries(shape):
    return tuple(sorted(shape))  # a gradient may be reduced as its transpose


@pytest.mark.long
def test_replicated_parameters_move_gradients_and_class_means_alone():
    arrays = moved(fsdp=False)
    assert {kind for kind, _ in arrays} == {"all-reduce"}
    times = collections.Counter()
    for (_, array), count in arrays.items():
        times[entries(array.shape)] += count
    # Two gradients, AWP's and the training one, each of two passes, natural and
    # adversarial, whose shares XLA's CPU compiler reduces one by one, TPU's as one.
    kernels = [shape for shape in parameter_shapes(SMALL) if len(shape) > 1]
    assert [times[entries(shape)] for shape in kernels] == [4] * len(kernels)
    others = set(times) - {entries(shape) for shape in parameter_shapes(SMALL)}
    assert others == {(), (72, 72)}
    assert times[(72, 72)] == 1


@pytest.mark.long
@pytest.mark.parametrize("fsdp", [False, True])
def test_nothing_moved_grows_with_the_batch(fsdp):
    once = moved(fsdp=fsdp)
    assert moved(fsdp=fsdp, batch_size=32) == once
    gathered = [array.shape for kind, array in once if kind == "all-gather"]
    assert bool(gathered) == fsdp
    assert set(gathered) <= set(parameter_shapes(SMALL))


@pytest.mark.long
@pytest.mark.parametrize("fsdp", [pytest.param(False, marks=pytest.mark.slow), True])
def test_nothing_moved_grows_with_batch_times_classes(fsdp):
    def size(batch_size, classes):
        changed = dict(model_axis=4, batch_size=batch_size, classes=classes)
        return sum(
            array.num_bytes * times
            for (_, array), times in moved(fsdp=fsdp, **changed).items()
        )

    with_more_classes = size(32, 144) - size(16, 144)
    assert with_more_classes == size(32, 72) - size(16, 72) > 0


@pytest.mark.parametrize("spec", [("model",), (None, "model")])
def test_awp_gathers_no_divided_leaf(spec):
    mesh = sharding.create_mesh((1, 8))
    place = jax.NamedSharding(mesh, jax.P(*spec))
    leaf = {"kernel": jax.ShapeDtypeStruct((24, 72), "float32", sharding=place)}
    perturb = jax.jit(partial(awp.perturb, gamma=0.1), out_shardings=place)
    found = hlo.collectives(perturb.lower(leaf, leaf).compile().as_text())
    assert {array.shape for each in found for array in each.arrays} == {()}


def test_the_table():
    cost = Cost(
        SMALL, parameters=1, forward_flops=2e9, flops=60e9, argument_bytes=1_500_000,
        temporary_bytes=2_000_000, program_bytes=4_500_000,
        collective_bytes={"all-reduce": 0, "all-gather": 3_140_000}, seconds=61.7,
    )  # fmt: skip
    assert Cost.from_json(cost.to_json()) == cost
    assert scaling.table([cost]).splitlines() == [
        "| devices | batch | GFLOPs | given (MB) | temporary (MB) | all-gather (MB) |",
        "|---|---|---|---|---|---|",
        "| 8 | 16 | 60 (15.0) | 1.5 | 2.0 | 3.1 |",
    ]
    there = dataclasses.replace(SMALL, topology="v5e:2x4", model_axis=2)
    assert scaling.table([dataclasses.replace(cost, setting=there)]).splitlines() == [
        "| chips | batch | given (MB) | temporary (MB) | program (MB) | all-gather (MB) | compiled in (s) |",
        "|---|---|---|---|---|---|---|",
        "| v5e:2x4 (4 × 2) | 16 | 1.5 | 2.0 | 4.5 | 3.1 | 62 |",
    ]


def test_a_batch_that_is_too_small_is_rounded_up():
    arguments = ["--devices", "8", "256", "--batch_size", "100"]
    found = scaling.settings(scaling.create_parser().parse_args(arguments))
    assert [setting.batch_size for setting in found] == [104, 256]
    arguments += ["--rows_per_device", "3", "--model_axis", "4"]
    found = scaling.settings(scaling.create_parser().parse_args(arguments))
    assert [setting.batch_size for setting in found] == [6, 192]


@pytest.mark.tpu
def test_a_topology_is_compiled_for():
    arguments = ["--topology", "v5e:2x2", "--model", "cnn", "--attack_steps", "1"]
    (setting,) = scaling.settings(scaling.create_parser().parse_args(arguments))
    assert (setting.devices, setting.batch_size) == (4, 128)
    cost = scaling.measured(setting, timeout=600)
    assert cost.setting == setting
    assert cost.collective_bytes["all-reduce"] > 2 * 4 * cost.parameters
    assert cost.program_bytes > 0
    with pytest.raises(UserError, match="v9:2x2: topology must be one that libtpu"):
        scaling.measured(dataclasses.replace(setting, topology="v9:2x2"), timeout=60)


@pytest.mark.long
def test_what_cannot_be_measured_is_said():
    with pytest.raises(UserError, match="devices must be >= 1, got 0"):
        Setting(devices=0)
    with pytest.raises(UserError, match=r"2 devices: mesh must be \(data, model\)"):
        scaling.measured(Setting(devices=2, model_axis=3), timeout=60)
    with pytest.raises(UserError, match="2 devices: not compiled within 0.1 seconds"):
        scaling.measured(Setting(devices=2), timeout=0.1)


@pytest.mark.slow
def test_a_step_is_as_many_forward_passes_as_the_algorithm_has():
    setting = Setting(devices=8, model="wide_resnet_10_1", attack_steps=2)
    cost = compiled_step.measure(setting)
    # One for the attack's target, two for each of its steps (forward, input gradient),
    # and three for each of two passes in each of two gradients.
    assert cost.forward_passes == pytest.approx(1 + 2 * 2 + 3 * 2 * 2, rel=0.03)
