"""The frozen teacher of a distillation: a run of ours, or converted weights."""

import dataclasses
import json
import zlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ikl_jax.types import Array
from train.base import files, terminal
from train.base.errors import UserError
from train.devices import sharding
from train.experiment import checksums, finished
from train.experiment import run as runs
from train.experiment.run import Run
from train.networks import classes, converted, model
from train.recipes import recipe
from train.recipes.state import Weights


class _Found(NamedTuple):
    """A teacher as it is stored.

    Attributes:
      described: the architecture's settings, which the weights do not show.
      network: the Linen module.
      weights: of the network.
      num_classes: of its logits.
      class_names: in the order of the logits; None: not known.
    """

    described: dict[str, Any]
    network: Any
    weights: Weights
    num_classes: int
    class_names: tuple[str, ...] | None


@dataclasses.dataclass(frozen=True)
class Teacher:
    """A model in evaluation mode, whose logits become part of the batches.

    It has a program of its own, which takes the weights as an argument. So they are not
    in the train state, receive no gradient and are not donated.

    Attributes:
      weights: of the model.
      digest: a checksum of the weights and of the architecture's settings.
    """

    weights: Weights
    digest: str
    _logits: Any

    @classmethod
    def of(cls, run: Run) -> "Teacher | None":
        """The teacher that the run's config names; None: it names none.

        Raises:
          UserError: it cannot be read, or its classes or images are not the run's.
        """
        if not run.config.teacher.path:
            return None
        path = files.named(run.config.teacher.path, "teacher.path")
        with files.reading(path):
            is_run = path.is_dir()
        found = (_of_a_run if is_run else _converted)(path, run)
        network, num_classes = found.network, found.num_classes
        classes.check_same(
            path, num_classes, found.class_names,
            run.config.data.source, run.data.num_classes, run.data.class_names,
        )  # fmt: skip
        weights = jax.device_put(found.weights, sharding.replicated(run.mesh))
        converted.check_finite(path, weights)

        def logits_fn(weights: Weights, image: Array) -> Array:
            x = recipe.to_pixels(image)
            logits = recipe.evaluate_logits(network, weights, x)
            return classes.fitted(logits, num_classes, run.num_logits)

        images = jax.ShapeDtypeStruct((1, *run.data.image_shape), jnp.uint8)
        with converted.applied(path, run.config.data.source, run.data.image_shape):
            jax.eval_shape(logits_fn, weights, images)
        jitted = jax.jit(logits_fn, out_shardings=sharding.over_batch(run.mesh))
        parts = {**found.described, "weights": checksums.digests(weights)}
        described = json.dumps(parts, sort_keys=True)
        return cls(weights, f"{zlib.crc32(described.encode()):08x}", jitted)

    def logits(self, image: Array) -> Array:
        """Maps uint8 images `[B, H, W, K]` to logits `[B, C]`, divided as they are."""
        return self._logits(self.weights, image)


def _of_a_run(path: files.Path, run: Run) -> _Found:
    """The weights that a run is evaluated by: the averaged ones if it keeps them."""
    files.of_run(str(path), "teacher.path")
    dtype = run.config.teacher.dtype
    # On a mesh that does not divide the classes, since the teacher's own classes may
    # be padded for another mesh.
    changed = {"mesh": (-1, 1), "fsdp": False, "model.dtype": dtype}
    opened = runs.reopen(path, changed)
    result = finished.read(path, epochs=int)
    if result is None or result["epochs"] != opened.config.epochs:
        raise UserError(f"teacher.path: the run in {path} has not finished")
    state = runs.newest_state(opened, path, terminal.warn)
    model_config, data = opened.config.model, opened.data
    return _Found(
        _described(model_config.name, model_config.normalize), opened.model,
        state.evaluated, data.num_classes, data.class_names,
    )  # fmt: skip


def _converted(path: files.Path, run: Run) -> _Found:
    if not path.is_file():
        raise UserError(f"teacher.path: there is neither folder nor file {path}")
    read = converted.read(path)
    network = read.create(dtype=model.DTYPES[run.config.teacher.dtype])
    variables = read.variables
    weights = Weights(variables["params"], variables.get("batch_stats", {}))
    return _Found(
        _described(read.model, read.normalize), network, weights, read.num_classes,
        read.class_names,
    )  # fmt: skip


def _described(name: str, normalize: Any) -> dict[str, Any]:
    """Settings in which networks differ although their weights have the same shapes."""
    return {"model": name, "normalize": [list(values) for values in normalize or ()]}
