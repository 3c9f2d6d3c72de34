"""The frozen teacher of a distillation: a run of ours, or converted weights."""

import dataclasses
import json
import pathlib
import sys
import zlib
from typing import Any

import jax
import jax.numpy as jnp

from ikl_jax.types import Array
from train import checkpoint, classes, converted, model, sharding
from train import run as runs
from train.errors import UserError, explained
from train.recipes import recipe
from train.run import Run
from train.state import Weights


@dataclasses.dataclass(frozen=True)
class Teacher:
    """A model in evaluation mode, whose logits batches are given.

    Its weights are an argument of a program of its own: they are in no train state,
    receive no gradient and are not donated.
    """

    weights: Weights
    digest: str
    _logits: Any

    @classmethod
    def of(cls, run: Run) -> "Teacher | None":
        """The one that the run's config names, if it names one.

        Raises:
          UserError: it cannot be read, or its classes or images are not the run's.
        """
        if not run.config.teacher.path:
            return None
        path = pathlib.Path(run.config.teacher.path).expanduser()
        read = _of_a_run if path.is_dir() else _converted
        network, weights, num_classes = read(path, run)
        if num_classes != run.data.num_classes:
            raise UserError(
                f"teacher.path: {path} has {num_classes} classes, "
                f"{run.config.data.source} has {run.data.num_classes}"
            )
        weights = jax.device_put(weights, sharding.replicated(run.mesh))

        def logits_fn(weights: Weights, image: Array) -> Array:
            x = recipe.to_pixels(image)
            logits = recipe.evaluate_logits(network, weights, x)
            return classes.fitted(logits, num_classes, run.num_logits)

        images = jax.ShapeDtypeStruct((1, *run.data.image_shape), jnp.uint8)
        with explained():
            jax.eval_shape(logits_fn, weights, images)
        jitted = jax.jit(logits_fn, out_shardings=sharding.over_batch(run.mesh))
        told = json.dumps(checkpoint.digests(weights), sort_keys=True)
        return cls(weights, f"{zlib.crc32(told.encode()):08x}", jitted)

    def logits(self, image: Array) -> Array:
        """Of uint8 images `[B, H, W, K]`: `[B, C]`, divided as they are."""
        return self._logits(self.weights, image)


def _of_a_run(path: pathlib.Path, run: Run) -> tuple[Any, Weights, int]:
    """The weights that a run is judged by, on this run's mesh."""
    config = run.config
    changed = {
        "mesh": tuple(config.mesh), "fsdp": False, "model.dtype": config.teacher.dtype,
    }  # fmt: skip
    opened = runs.reopen(path, changed)
    if not (path / "result.json").is_file():
        raise UserError(f"teacher.path: the run in {path} has not finished")
    state = runs.newest_state(opened, path, _warn)
    return opened.model, state.evaluated, opened.data.num_classes


def _converted(path: pathlib.Path, run: Run) -> tuple[Any, Weights, int]:
    if not path.is_file():
        raise UserError(f"teacher.path: there is neither folder nor file {path}")
    read = converted.read(path)
    network = read.create(dtype=model.DTYPES[run.config.teacher.dtype])
    variables = read.variables
    weights = Weights(variables["params"], variables.get("batch_stats", {}))
    return network, weights, read.num_classes


def _warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr)
