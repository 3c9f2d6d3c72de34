"""The frozen teacher of a distillation: a run of ours, or converted weights."""

import dataclasses
import json
import zlib
from typing import Any

import jax
import jax.numpy as jnp

from ikl_jax.types import Array
from train.base import files
from train.devices import sharding
from train.experiment import checksums
from train.experiment.run import Run
from train.networks import classes, converted
from train.recipes import recipe
from train.recipes.state import Weights
from train.teachers import stored
from train.teachers.stored import Stored

FIELD = "teacher.path"


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
        path = files.named(run.config.teacher.path, FIELD)
        found = _found(path, run.config.teacher.dtype)
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


def _found(path: files.Path, dtype: str) -> Stored:
    if stored.is_run(path):
        return stored.of_run(path, FIELD, dtype)
    stored.check_file(path, FIELD)
    return stored.of_converted(converted.read(path), dtype)
