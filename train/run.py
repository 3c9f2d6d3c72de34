"""The parts of a run that its config names: data, model, recipe, devices."""

import dataclasses
import pathlib
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from ikl_jax import models
from train import settings, sharding
from train.checkpoint import Checkpoints
from train.data import pipeline, sources
from train.errors import UserError, explained
from train.recipes import RECIPES, Recipe, Task
from train.state import TrainState
from train.types import Config


@dataclasses.dataclass(frozen=True)
class Run:
    """Everything built from a config, nothing yet computed or written."""

    config: Config
    data: sources.DataSet
    model: nn.Module
    recipe: Recipe
    mesh: Mesh
    steps_per_epoch: int

    @property
    def total_steps(self) -> int:
        return self.config.epochs * self.steps_per_epoch

    def initial_state(self) -> TrainState:
        """The state before the first step, on every device."""
        init = jax.jit(self.recipe.init, out_shardings=sharding.replicated(self.mesh))
        return init(jax.random.key(self.config.seed))


def build(config: Config) -> Run:
    """Checks the config as a whole and builds what it names.

    Raises:
      UserError: something in it is unknown, impossible or missing.
    """
    settings.validate(config)
    mesh = sharding.create_mesh()
    sharding.check_batch("evaluation.batch_size", config.evaluation.batch_size, mesh)
    data = sources.open_source(config.data)
    sizes = pipeline.batch_sizes(data.train, config)
    for size in set(sizes):
        sharding.check_batch("batch_size", size, mesh)
    model = _create_model(config, data, sizes)
    steps_per_epoch = len(sizes)
    task = Task(config, model, data.num_classes, data.image_shape, steps_per_epoch)
    recipe = RECIPES[config.recipe](task)
    return Run(config, data, model, recipe, mesh, steps_per_epoch)


def _create_model(
    config: Config, data: sources.DataSet, batch_sizes: list[int]
) -> nn.Module:
    """The model, traced once on each batch size so that what cannot be, fails here."""
    groups = config.model.bn_groups
    options = {"bn_groups": groups} if groups > 1 else {}
    with explained():
        model = models.create(config.model.name, data.num_classes, **options)
        forward = partial(model.init_with_output, jax.random.key(0), train=True)
        for size in set(batch_sizes):
            images = jax.ShapeDtypeStruct((size, *data.image_shape), jnp.float32)
            jax.eval_shape(forward, images)
    return model


def reopen(workdir: pathlib.Path) -> tuple[Run, TrainState]:
    """An earlier run and its newest state.

    Raises:
      UserError: there is none.
    """
    run = build(settings.load(workdir))
    if not (workdir / "checkpoints").is_dir():
        raise UserError(f"{workdir} holds no checkpoint yet")
    checkpoints = Checkpoints(workdir, read_only=True)
    try:
        if checkpoints.latest_step() is None:
            raise UserError(f"{workdir} holds no checkpoint yet")
        return run, checkpoints.restore(run.initial_state())
    finally:
        checkpoints.close()
