"""What is judged: a network with weights, and the data that it is judged on."""

import dataclasses
import pathlib
import sys
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from train.base.config import Config
from train.base.errors import UserError, explained
from train.data import sources
from train.data.splits import DataSet
from train.devices import sharding
from train.experiment import run as runs
from train.experiment import settings
from train.experiment.run import Run
from train.networks import classes, converted
from train.recipes.recipe import Model
from train.recipes.state import Weights


@dataclasses.dataclass(frozen=True)
class Target:
    """A network with weights, and the data that it is judged on.

    Attributes:
      config: the default of what it is judged by.
      data: whose test part it is judged on.
      model: takes images in [0, 1].
      weights: of the model.
      mesh: of the devices.
      workdir: where results are written.
      name: of the weights.
      told: what else the results are to say of them.
    """

    config: Config
    data: DataSet
    model: Model
    weights: Weights
    mesh: Mesh
    workdir: pathlib.Path
    name: str
    told: dict[str, Any]


def of_run(
    workdir: pathlib.Path, kind: str | None, changed: Mapping[str, Any]
) -> Target:
    """A run's last, averaged or best weights; None: averaged ones, if it keeps them.

    With other values of the fields that `changed` names.

    Raises:
      UserError: there is no such run, or no such weights, or a field changes the model.
    """
    for field in changed:
        if not settings.is_among(field, settings.OF_EVALUATION):
            allowed = ", ".join(settings.OF_EVALUATION)
            raise UserError(
                f"config.{field} is the run's own: an evaluation can change {allowed}"
            )
    trained = settings.load(workdir)
    run = runs.reopen(workdir, changed)
    step, weights, kind = _weights(run, workdir, kind)
    source, dtype = run.config.data.source, run.config.model.dtype
    name = f"{kind} weights"
    if source != trained.data.source:
        name += f" on {source}"
    if dtype != trained.model.dtype:
        name += f" in {dtype}"
    return Target(
        run.config, run.data, run.model, weights, run.mesh, workdir, name,
        {"step": step, "weights": kind, "dataset": source},
    )  # fmt: skip


def of_file(path: pathlib.Path, config: Config, workdir: pathlib.Path) -> Target:
    """Weights that `train.convert` has written, on the data that a config names.

    Raises:
      UserError: the file is not that, it is not for such images or classes, or the data
        cannot be read.
    """
    read = converted.read(path)
    mesh = sharding.create_mesh(config.mesh)
    config.evaluation.batch_size = sharding.fitting(config.evaluation.batch_size, mesh)
    data = sources.open_source(config.data)
    classes.check_same(
        path, read.num_classes, read.class_names,
        config.data.source, data.num_classes, data.class_names,
    )  # fmt: skip
    network, variables = read.create(), read.variables
    images = jax.ShapeDtypeStruct((1, *data.image_shape), jnp.float32)
    with explained():
        jax.eval_shape(network.apply, variables, images)
    weights = Weights(variables["params"], variables.get("batch_stats", {}))
    weights = jax.device_put(weights, sharding.replicated(mesh))
    return Target(
        config, data, network, weights, mesh, workdir, path.name,
        {"weights": str(path), "model": read.model, "dataset": config.data.source},
    )  # fmt: skip


def examples(data: DataSet, limit: int | None) -> tuple[np.ndarray, np.ndarray]:
    """The first of the test part (None: all): float32 in [0, 1], and labels."""
    count = min(limit or len(data.test), len(data.test))
    batch = data.test.take(np.arange(count))
    return batch["image"].astype(np.float32) / 255, batch["label"]


def _weights(
    run: Run, workdir: pathlib.Path, kind: str | None
) -> tuple[int, Weights, str]:
    """The step, the weights and what to call them."""

    def report(message: str) -> None:
        print(f"warning: {message}", file=sys.stderr)

    if kind == "best":
        saved = runs.best_weights(run, workdir, report)
        return saved.step, saved.tree, kind
    state = runs.newest_state(run, workdir, report)
    if kind == "averaged" and state.averaged is None:
        raise UserError("--weights=averaged: this run averages none")
    kind = kind or ("last" if state.averaged is None else "averaged")
    weights = state.weights if kind == "last" else state.evaluated
    return int(state.step), weights, kind
