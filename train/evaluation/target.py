"""What is evaluated: a network with weights, and the data that it is evaluated on."""

import dataclasses
import functools
import json
import zlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding

from train.base import terminal
from train.base.config import Config
from train.base.errors import UserError
from train.base.files import Path
from train.data import fingerprint, sources
from train.data.splits import DataSet
from train.devices import processes, sharding
from train.evaluation import summaries
from train.experiment import checksums, settings
from train.experiment import run as runs
from train.experiment.run import Run
from train.networks import classes, converted
from train.recipes.recipe import Model
from train.recipes.state import Weights


@dataclasses.dataclass(frozen=True)
class Target:
    """A network with weights, and the data that it is evaluated on.

    Attributes:
      config: with the defaults of the evaluation.
      data: whose test part is evaluated on.
      model: takes images in [0, 1].
      weights: of the model.
      mesh: of this process's devices.
      workdir: where results are written.
      name: of the weights, for people.
      identity: which weights these are: fields of every record.
      dataset: the source of the data as the user named it.
      weights_file: that they were read from; None: they are of a run.
    """

    config: Config
    data: DataSet
    model: Model
    weights: Weights
    mesh: Mesh
    workdir: Path
    name: str
    identity: dict[str, Any]
    dataset: str
    weights_file: Path | None = None

    @property
    def sharding(self) -> NamedSharding:
        """Of a batch over the devices."""
        return sharding.over_batch(self.mesh)

    @functools.cached_property
    def weights_checksum(self) -> str:
        return weights_checksum(self.weights)

    @functools.cached_property
    def data_fingerprint(self) -> str:
        """That of the test part."""
        return fingerprint.of_split(self.data.test)

    def agree(self) -> None:
        """Raises `UserError` unless all processes have the same weights and data."""
        processes.agree("weights", f"checksum {self.weights_checksum}")
        processes.agree("data", self.data_fingerprint)

    def arguments(self, num_examples: int) -> dict[str, Any]:
        """All that results on the first `num_examples` depend on but the attack."""
        data = self.config.data
        sizes = [data.image_size, data.resize_shorter] if data.image_size else []
        return {
            **self.identity,
            "weights_checksum": self.weights_checksum,
            "dataset": self.dataset,
            "data_fingerprint": self.data_fingerprint,
            **({"image_sizes": sizes} if sizes else {}),
            **({"exif_rotation": True} if data.exif_rotation else {}),
            "evaluated_on": data.evaluate_on,
            "num_examples": num_examples,
            **summaries.arguments(self.config),
        }

    def described_part(self, num_examples: int) -> str:
        """How many examples of how many, for people."""
        whole = len(self.data.test)
        of_whole = "" if num_examples == whole else f" of {whole}"
        return f"{num_examples}{of_whole} examples"

    def description(self, labels: np.ndarray) -> dict[str, Any]:
        """Where the weights are and which examples these are: fields of a record.

        The first examples of a folder are those of its first classes, so the record
        names the number of classes.
        """
        file = self.weights_file
        return {
            **({} if file is None else {"weights_file": str(file)}),
            "part_examples": len(self.data.test),
            "evaluated_classes": len(np.unique(labels)),
        }


def of_run(workdir: Path, kind: str | None, changed: Mapping[str, Any]) -> Target:
    """The last, averaged or best weights of a run.

    Args:
      workdir: of the run.
      kind: "last", "averaged" or "best"; None: the averaged ones if the run keeps
        them, else the last.
      changed: fields of the run's config that have another value here.

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
    run = runs.reopen(workdir, changed, jax.local_devices())
    step, weights, kind = _weights(run, workdir, kind)
    source = changed.get("data.source", trained.data.source)
    dtype = run.config.model.dtype
    name = f"{kind} weights of step {step}"
    if source != trained.data.source:
        name += f" on {source}"
    if dtype != trained.model.dtype:
        name += f" in {dtype}"
    return Target(
        run.config, run.data, run.model, weights, run.mesh, workdir, name,
        {
            "model": run.config.model.name, "dtype": dtype, "weights": kind,
            "step": step,
        },
        source,
    )  # fmt: skip


def of_file(path: Path, config: Config, workdir: Path) -> Target:
    """The weights of a file of `train.convert`, on the data that a config names.

    Raises:
      UserError: the file is not that, it is not for such images or classes, or the data
        cannot be read.
    """
    read = converted.read(path)
    mesh = sharding.create_mesh(config.mesh, jax.local_devices())
    config.evaluation.batch_size = sharding.fitting(config.evaluation.batch_size, mesh)
    data = sources.open_source(config.data)
    classes.check_same(
        path, read.num_classes, read.class_names,
        config.data.source, data.num_classes, data.class_names,
    )  # fmt: skip
    network, variables = read.create(), read.variables
    images = jax.ShapeDtypeStruct((1, *data.image_shape), jnp.float32)
    with converted.applied(path, config.data.source, data.image_shape):
        jax.eval_shape(network.apply, variables, images)
    converted.check_finite(path, variables)
    weights = Weights(variables["params"], variables.get("batch_stats", {}))
    weights = jax.device_put(weights, sharding.replicated(mesh))
    return Target(
        config, data, network, weights, mesh, workdir,
        f"{path.name} on {config.data.source}",
        {
            "model": read.model, "normalize": read.normalize, "dtype": "float32",
            "weights": path.name,
        },
        config.data.source,
        path,
    )  # fmt: skip


def weights_checksum(weights: Weights) -> str:
    """Eight hexadecimal digits that differ if any number in the weights does."""
    content = json.dumps(checksums.digests(weights), sort_keys=True)
    return f"{zlib.crc32(content.encode()):08x}"


def exif_rotations(data: DataSet) -> dict[str, int]:
    """How many images any process has met that ask by EXIF for a rotation.

    A field of records and results; where there is no such image, it is missing.
    """
    masks = (noticed.mask() for noticed in data.turned)
    count = sum(int(processes.anywhere(mask).sum()) for mask in masks)
    return {"exif_rotations": count} if count else {}


def images(data: DataSet, limit: int | None) -> tuple[np.ndarray, np.ndarray]:
    """The first of the test part (None: all): float32 in [0, 1], and labels."""
    count = min(limit or len(data.test), len(data.test))
    batch = data.test.take(np.arange(count))
    return batch["image"].astype(np.float32) / 255, batch["label"]


def _weights(run: Run, workdir: Path, kind: str | None) -> tuple[int, Weights, str]:
    """The step, the weights and their kind."""
    if kind == "best":
        saved = runs.best_weights(run, workdir, terminal.warn)
        return saved.step, saved.tree, kind
    state = runs.newest_state(run, workdir, terminal.warn)
    if kind == "averaged" and state.averaged is None:
        raise UserError("--weights=averaged: this run keeps no averaged weights")
    kind = kind or ("last" if state.averaged is None else "averaged")
    weights = state.weights if kind == "last" else state.evaluated
    return int(state.step), weights, kind
