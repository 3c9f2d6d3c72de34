"""A run: the data, the model, the recipe and the devices that a config names."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import grain
import jax
import numpy as np
from jax.sharding import Mesh

from ikl_jax.types import PyTree
from train.base import contents
from train.base.config import Config
from train.base.errors import UserError
from train.base.files import Path
from train.data import checks as data_checks
from train.data import mixture, pipeline, sources
from train.data.pipeline import Stream
from train.data.splits import DataSet
from train.data.subsets import class_splits
from train.devices import sharding
from train.experiment import settings, tasks, validation
from train.experiment.checkpoint import Checkpoints, OtherSizes, Report, Saved
from train.networks import classes, model
from train.recipes import RECIPES, BuiltRecipe, Task, attack
from train.recipes.recipe import Model
from train.recipes.state import TrainState

CHECKPOINTS = "checkpoints"  # the folder within a workdir
EARLIER_BEST = "best"  # where earlier versions saved the best weights


@dataclasses.dataclass(frozen=True)
class Run:
    """What is built from a config. Nothing is computed or written yet.

    Its `streams` are those of the recipe; a run that is reopened has none.
    """

    config: Config
    data: DataSet
    model: Model
    recipe: BuiltRecipe
    mesh: Mesh
    num_logits: int
    steps_per_epoch: int
    streams: Mapping[str, Stream] = dataclasses.field(default_factory=dict)

    @property
    def total_steps(self) -> int:
        return self.config.epochs * self.steps_per_epoch

    def initial_state(self) -> TrainState:
        """The state before the first step, sharded over the mesh."""
        init = jax.jit(self.recipe.init, out_shardings=self.state_shardings)
        return init(jax.random.key(self.config.seed))

    @cached_property
    def abstract_state(self) -> TrainState:
        """Shapes, dtypes and shardings of the train state; takes no memory."""
        state = jax.eval_shape(self.recipe.init, jax.random.key(0))
        places = sharding.state_shardings(
            self.mesh, state, classifier=_classifier(self.model, self.mesh),
            fsdp=self.config.fsdp,
        )  # fmt: skip
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

    def training_batches(
        self, columns: Mapping[str, np.ndarray] | None = None
    ) -> grain.DatasetIterator:
        """This process's rows of the batches that the run trains on, from the first.

        Args:
          columns: arrays with a row for each training example; their rows are added.
        """
        return pipeline.training_batches(
            self.data.train, self.config.data, batch_size=self.config.batch_size,
            seed=self.config.seed, rows=self.local_rows, columns=columns,
            synthetic=self.data.synthetic, memory=self.data.memory,
            streams=self.streams,
        )  # fmt: skip


def build(config: Config, devices: Sequence[Any] | None = None) -> Run:
    """Checks the whole config and builds what it names.

    Args:
      config: of the run.
      devices: the `jax.Device`s to run on or to compile for; None: all of them.

    Raises:
      UserError: something in it is unknown, impossible or missing.
    """
    validation.validate(config)
    if tasks.is_sequence(config):
        raise UserError(
            "continual.task=0 is a sequence of tasks, of which each is a run: name one"
        )
    run = _without_streams(config, sharding.create_mesh(config.mesh, devices))
    streams = RECIPES[config.recipe].streams(run.data, config)
    for name, stream in streams.items():
        data_checks.check_stream(name, stream, run.data.image_shape)
        title = f"batch_size of the stream {name!r}"
        _check_batches(config, [stream.batch_size], run.mesh, title)
        if stream.batch_size % config.model.bn_groups:
            raise UserError(
                f"{title} must be a multiple of model.bn_groups="
                f"{config.model.bn_groups}, got {stream.batch_size}"
            )
    return dataclasses.replace(run, streams=streams)


def _without_streams(config: Config, mesh: Mesh) -> Run:
    """As `build`, without what the recipe declares for training alone."""
    sharding.check_batch("evaluation.batch_size", config.evaluation.batch_size, mesh)
    data = class_splits.of_task(sources.open_source(config.data), config.continual)
    data = mixture.joined(data, config.data, config.batch_size)
    data_checks.check_images(config.data, data.image_shape)
    attack.check_epsilon(
        "attack.epsilon", config.attack.norm, config.attack.epsilon, data.image_shape
    )
    sizes = pipeline.batch_sizes(data.train, config.data, config.batch_size)
    steps_per_epoch = config.steps_per_epoch or len(sizes)
    if (steps := config.epochs * steps_per_epoch) > contents.LARGEST:
        raise UserError(
            f"epochs={config.epochs} of {steps_per_epoch} steps are {steps} steps, but "
            f"a run has at most {contents.LARGEST}"
        )
    sizes = sizes[:steps]  # a run may be less than a pass
    _check_batches(config, sizes, mesh)
    width = classes.padded_width(data.num_classes, config.model.classes_multiple_of)
    sharding.check_classes(width, mesh)
    network = model.create(config, data.num_classes)
    model.check(network, config, data.image_shape, sizes)
    if config.fsdp:
        network = sharding.GatheredModel(network, mesh, _classifier(network, mesh))
    task = Task(
        config, network, data.num_classes, data.image_shape, steps_per_epoch, mesh
    )
    recipe = RECIPES[config.recipe].build(task)
    return Run(config, data, network, recipe, mesh, width, steps_per_epoch)


def _classifier(network: Model, mesh: Mesh) -> sharding.Path:
    """The path of the layer that the axis `model` divides; empty if it divides none."""
    return model.classifier_layer(network) if mesh.shape["model"] > 1 else ()


def _check_batches(
    config: Config,
    batch_sizes: Iterable[int],
    mesh: Mesh,
    title: str = "batch_size",
) -> None:
    """Checks that parts of equal size divide each batch, and the devices each part."""
    parts, sizes = config.accumulate, sorted(set(batch_sizes), reverse=True)
    for size in sizes:
        if size < sizes[0]:
            title = (
                "the last batch of an epoch (data.drop_remainder=True leaves it out)"
            )
        name = title if parts == 1 else f"{title} / {parts} (accumulate)"
        if size % parts:
            raise UserError(
                f"{title} must be a multiple of accumulate={parts}, got a batch of "
                f"{size}"
            )
        sharding.check_batch(name, size // parts, mesh)


def reopen(
    workdir: Path,
    changed: Mapping[str, Any] | None = None,
    devices: Sequence[Any] | None = None,
) -> Run:
    """An earlier run, to be evaluated on the devices that there are now.

    Its mesh is the run's own if that fits the devices; else all devices lie along
    `data`. Batch sizes are rounded to fit them, which changes no result.

    Args:
      workdir: of the run.
      changed: fields of its config, with other values.
      devices: to evaluate on; None: all of all processes.

    Raises:
      UserError: the workdir holds no run.
    """
    config = settings.located(settings.load(workdir), workdir)
    config.update_from_flattened_dict(changed or {})
    if tasks.is_sequence(config):
        raise UserError(
            f"{workdir} holds a sequence of tasks, each of which is a run in a folder "
            f"of its own: name one of them, such as {tasks.folder(workdir, 1)}"
        )
    validation.validate(config)
    try:
        mesh = sharding.create_mesh(settings.get(config, "mesh"), devices)
    except UserError:
        config.mesh = (-1, 1)
        mesh = sharding.create_mesh(config.mesh, devices)
    config.accumulate, config.model.bn_groups = 1, 1
    config.data.drop_remainder = True
    # For training alone, and perhaps no longer there.
    config.data.synthetic, config.continual.memory = "", 0
    for section in (config, config.evaluation):
        section.batch_size = sharding.fitting(section.batch_size, mesh)
    return _without_streams(config, mesh)


def newest_state(run: Run, workdir: Path, report: Report) -> TrainState:
    """The state to continue from; raises `UserError` if nothing is saved."""
    saved = _restored(workdir, run, report, best=False)
    if saved is None:
        raise UserError(f"{workdir} holds no checkpoint yet: no {CHECKPOINTS}/")
    return saved.tree


def best_weights(run: Run, workdir: Path, report: Report) -> Saved:
    """The weights with the best score of a run's checkpoints, and their step.

    All epochs that were evaluated in training count, and the last one does. Its score
    is of the same `evaluation.during_training` examples as the others' scores.

    Raises:
      UserError: no checkpoint has a score.
    """
    saved = _restored(workdir, run, report, best=True)
    if saved is None and (earlier := workdir / EARLIER_BEST).is_dir():
        raise UserError(
            f"{earlier} holds the best weights of a run of an earlier version, which "
            "this version does not read, and no checkpoint beside it has a score"
        )
    if saved is None:
        raise UserError(
            f"{workdir} holds no checkpoint that was evaluated in training, so none of "
            "its weights are the best; evaluation.every must be > 0 in training"
        )
    return saved._replace(tree=saved.tree.evaluated)


def _restored(workdir: Path, run: Run, report: Report, *, best: bool) -> Saved | None:
    folder = workdir / CHECKPOINTS
    if not folder.is_dir():
        return None
    checkpoints = Checkpoints(folder, keep=1, read_only=True)
    try:
        read = checkpoints.restore_best if best else checkpoints.restore
        saved = read(run.abstract_state, report)
    except OtherSizes as error:
        raise UserError(
            f"{error}; {run.config.data.source} has images {run.data.image_shape} of "
            f"{run.data.num_classes} classes (data.num_classes states how many there "
            "are if some have no examples)"
        ) from error
    finally:
        checkpoints.close()
    if saved is not None:
        classes.check_same(
            workdir, run.data.num_classes, saved.position.get("class_names"),
            run.config.data.source, run.data.num_classes, run.data.class_names,
        )  # fmt: skip
    return saved
