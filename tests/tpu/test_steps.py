"""The training step of each recipe: it compiles, and moves what docs/pods.md says."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import pytest

from configs import base
from tests.tpu import programs
from train.devices import sharding
from train.networks import model
from train.planning import hlo
from train.recipes import RECIPES, Task

pytestmark = programs.MARKS

# No other array has these sizes, or a half or a quarter of them.
BATCH, CLASSES, IMAGE = 48, 72, (16, 16, 3)
AWP = {"awp.gamma": 0.005}
WIDE = {"model.name": "wide_resnet_10_1"}
SMALLER = {
    "accumulate": 2, "model.bn_groups": 8, "model.remat": True, "model.dtype": "bfloat16"
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Case:
    """A step.

    Attributes:
      gradients: how often the bytes of all parameters are reduced over the chips.
      settings: of the config.
      recipe: its name.
      mesh: chips along `data` and `model`.
    """

    gradients: int
    settings: dict = dataclasses.field(default_factory=dict)
    recipe: str = "adversarial"
    mesh: tuple = (-1, 1)

    def config(self):
        config = base.get_config()
        config.recipe, config.attack.steps = self.recipe, 3
        config.update_from_flattened_dict(self.settings)
        return config


CASES = {
    "supervised": Case(1, recipe="supervised"),
    "distillation": Case(1, recipe="distillation"),
    "adversarial": Case(1),
    "weight perturbation": Case(2, AWP),
    "second view": Case(2, {**AWP, "data.second_view": "plain"}),
    "in parts": Case(2 * 4, {**AWP, "accumulate": 4}),
    "wide": Case(2, {**AWP, **WIDE}),
    "wide, in parts, recomputed, bfloat16": Case(2, {**WIDE, **SMALLER}),
}  # fmt: skip
DIVIDED = {
    "fsdp": Case(1, {"fsdp": True}),
    "classes": Case(2, AWP, mesh=(2, 2)),
    "classes, of a student": Case(1, recipe="distillation", mesh=(2, 2)),
}


def images_and_labels(case, config, place):
    shapes = {"image": ((BATCH, *IMAGE), jnp.uint8), "label": ((BATCH,), jnp.int32)}
    if config.data.second_view != "none":
        shapes["second_view"] = shapes["image"]
    if case.recipe == "distillation":
        shapes["teacher_logits"] = ((BATCH, CLASSES), jnp.float32)
    return {
        name: jax.ShapeDtypeStruct(shape, dtype, sharding=place)
        for name, (shape, dtype) in shapes.items()
    }


@functools.cache
def step(name):
    """The compiled step of a case and the shapes of its parameters."""
    case = (CASES | DIVIDED)[name]
    config, mesh = case.config(), programs.create_mesh(case.mesh)
    network = model.create(config, CLASSES)
    classifier = model.classifier_layer(network)
    if config.fsdp:
        network = sharding.GatheredModel(network, mesh, classifier)
    task = Task(config, network, CLASSES, IMAGE, steps_per_epoch=2, mesh=mesh)
    recipe = RECIPES[case.recipe].build(task)
    state = jax.eval_shape(recipe.init, jax.random.key(0))
    places = sharding.state_shardings(
        mesh, state, classifier=classifier, fsdp=config.fsdp
    )
    jitted = jax.jit(
        recipe.step,
        out_shardings=(places, sharding.replicated(mesh)),
        donate_argnums=0,
    )
    batch = images_and_labels(case, config, sharding.over_batch(mesh))
    program = programs.compiled(jitted, programs.placed(state, places), batch)
    return program, [leaf.shape for leaf in jax.tree.leaves(state.params)]


def class_means_bytes(case):
    """They are summed once, whatever the number of gradients and parts."""
    return 4 * CLASSES**2 * (case.recipe != "supervised")


@pytest.mark.parametrize("name", CASES)
def test_gradients_and_class_means_are_all_that_is_reduced(name):
    program, shapes = step(name)
    case, moved = CASES[name], programs.moved(program)
    parameters = 4 * sum(map(math.prod, shapes))
    found = hlo.collectives(program.as_text())  # each as often as its loop runs it
    reduced = hlo.bytes_by_kind(found)["all-reduce"]
    least = case.gradients * parameters + class_means_bytes(case)
    # Biases are not perturbed. What is added are BatchNorm's sums and metrics.
    assert 0.99 * least < reduced < 1.06 * least + 4096
    assert not programs.of_batch_by_classes(moved.arrays, BATCH, CLASSES)


@pytest.mark.parametrize("name", [name for name in CASES if name != "second view"])
def test_nothing_is_gathered(name):
    assert not programs.moved(step(name)[0]).num_bytes(*programs.GATHERS)


def test_second_views_move_as_bytes_to_where_their_part_is_computed():
    moved = programs.moved(step("second view")[0])
    gathered = [array for kind, array in moved.arrays if kind in programs.GATHERS]
    assert {array.dtype for array in gathered} <= {"u8", "s32"}
    images = 2 * BATCH * math.prod(IMAGE)
    assert moved.num_bytes(*programs.GATHERS) < 1.1 * images


@pytest.mark.parametrize("name", DIVIDED)
def test_divided_classes_and_parameters_gather_no_logits(name):
    arrays = programs.moved(step(name)[0]).arrays
    assert arrays
    assert not programs.of_batch_by_classes(arrays, BATCH, CLASSES)


def test_fsdp_gathers_parameters_alone_and_for_each_step_of_the_attack():
    program, shapes = step("fsdp")
    moved = programs.moved(program)
    gathered = [array for kind, array in moved.arrays if kind == "all-gather"]
    sizes = {math.prod(array.shape) for array in gathered}
    assert sizes <= {math.prod(shape) for shape in shapes}
    assert {array.dtype for array in gathered} == {"bf16"}
    assert {kind for kind, _ in moved.looped} == {"all-gather"}


def test_the_attack_is_a_loop():
    assert " while(" in step("adversarial")[0].as_text()
