"""The parts of a run that its config names: data, model, recipe, devices."""

import dataclasses
import pathlib
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from ikl_jax.types import PyTree
from train.base.config import Config
from train.base.errors import UserError
from train.data import mixture, pipeline, sources
from train.data.augment import views
from train.data.splits import DataSet
from train.devices import sharding
from train.experiment import settings, validation
from train.experiment.checkpoint import Checkpoints, Report, Saved
from train.networks import classes, model
from train.recipes import RECIPES, BuiltRecipe, Task
from train.recipes.recipe import Model
from train.recipes.state import TrainState

# Folders of a workdir: to continue from, and the weights that were evaluated best.
CHECKPOINTS, BEST = "checkpoints", "best"


@dataclasses.dataclass(frozen=True)
class Run:
    """Everything built from a config, nothing yet computed or written."""

    config: Config
    data: DataSet
    model: Model
    recipe: BuiltRecipe
    mesh: Mesh
    num_logits: int
    steps_per_epoch: int

    @property
    def total_steps(self) -> int:
        return self.config.epochs * self.steps_per_epoch

    def initial_state(self) -> TrainState:
        """The state before the first step, in its place on the mesh."""
        init = jax.jit(self.recipe.init, out_shardings=self.state_shardings)
        return init(jax.random.key(self.config.seed))

    @cached_property
    def abstract_state(self) -> TrainState:
        """Shapes, dtypes and places of the train state, which need no memory."""
        state = jax.eval_shape(self.recipe.init, jax.random.key(0))
        places = sharding.state_shardings(
            self.mesh, state, num_classes=self.num_logits, fsdp=self.config.fsdp
        )
        return jax.tree.map(
            lambda leaf, place: leaf.update(sharding=place), state, places
        )

    @property
    def state_shardings(self) -> PyTree:
        """A `NamedSharding` for each leaf of the train state."""
        return jax.tree.map(lambda leaf: leaf.sharding, self.abstract_state)

    def local_rows(self, size: int) -> np.ndarray:
        """The rows of a batch that this process reads."""
        return sharding.local_rows(size, self.mesh)


def build(config: Config) -> Run:
    """Checks the config as a whole and builds what it names.

    Raises:
      UserError: something in it is unknown, impossible or missing.
    """
    validation.validate(config)
    mesh = sharding.create_mesh(config.mesh)
    sharding.check_batch("evaluation.batch_size", config.evaluation.batch_size, mesh)
    data = mixture.joined(
        sources.open_source(config.data), config.data, config.batch_size
    )
    views.check(config.data, data.image_shape)
    sizes = pipeline.batch_sizes(data.train, config.data, config.batch_size)
    _check_batches(config, sizes, mesh)
    width = classes.padded_width(data.num_classes, config.model.classes_multiple_of)
    sharding.check_classes(width, mesh)
    network = model.create(config, data.num_classes)
    model.check(network, config, data.image_shape, sizes)
    steps_per_epoch = len(sizes)
    if config.fsdp:
        network = sharding.GatheredModel(network, mesh, width)
    task = Task(
        config, network, data.num_classes, data.image_shape, steps_per_epoch, mesh
    )
    recipe = RECIPES[config.recipe].build(task)
    return Run(config, data, network, recipe, mesh, width, steps_per_epoch)


def _check_batches(config: Config, batch_sizes: Iterable[int], mesh: Mesh) -> None:
    """Each batch comes in equal parts, and each part in equal shares of the devices."""
    parts = config.accumulate
    name = "batch_size" if parts == 1 else f"batch_size / {parts} (accumulate)"
    for size in sorted(set(batch_sizes)):
        if size % parts:
            raise UserError(
                f"batch_size must be a multiple of accumulate={parts}, got a batch of "
                f"{size}"
            )
        sharding.check_batch(name, size // parts, mesh)


def reopen(workdir: pathlib.Path, changed: Mapping[str, Any] | None = None) -> Run:
    """An earlier run, to be evaluated on the devices that there are now.

    With other values of the fields that `changed` names. On its own mesh if that fits
    the devices, else with all along `data`. Batches are made to fit, which changes no
    verdict.

    Raises:
      UserError: there is none.
    """
    config = settings.load(workdir)
    config.update_from_flattened_dict(changed or {})
    validation.validate(config)
    try:
        mesh = sharding.create_mesh(settings.get(config, "mesh"))
    except UserError:
        config.mesh = (-1, 1)
        mesh = sharding.create_mesh(config.mesh)
    config.accumulate, config.model.bn_groups = 1, 1
    config.data.drop_remainder = True
    config.data.synthetic = ""  # for training alone, and perhaps no longer there
    for section in (config, config.evaluation):
        section.batch_size = sharding.fitting(section.batch_size, mesh)
    return build(config)


def newest_state(run: Run, workdir: pathlib.Path, report: Report) -> TrainState:
    """The state to continue from; raises `UserError` if nothing is saved."""
    return _restored(workdir / CHECKPOINTS, run.abstract_state, report).tree


def best_weights(run: Run, workdir: pathlib.Path, report: Report) -> Saved:
    """The weights of the best evaluation; raises `UserError` if there was none."""
    return _restored(workdir / BEST, run.abstract_state.evaluated, report)


def _restored(folder: pathlib.Path, template: PyTree, report: Report) -> Saved:
    saved = None
    if folder.is_dir():
        checkpoints = Checkpoints(folder, keep=1, read_only=True)
        try:
            saved = checkpoints.restore(template, report)
        finally:
            checkpoints.close()
    if saved is None:
        raise UserError(f"{folder.parent} holds no checkpoint yet: no {folder.name}/")
    return saved
