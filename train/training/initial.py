"""The state that a run begins with: drawn at random, or with the weights that
`model.initial_weights` names.

Named weights must be of the run's own architecture and fit images of its size. The
classifier is theirs if the classes are the same, and drawn at random if not.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from rich.console import Console

from ikl_jax.types import Array
from train.base import files
from train.base.errors import UserError
from train.data.splits import DataSet
from train.devices import processes, sharding
from train.evaluation.target import weights_checksum
from train.experiment.run import Run
from train.networks import converted, model
from train.recipes.state import TrainState, Weights
from train.teachers import stored
from train.teachers.stored import Stored

FIELD = "model.initial_weights"


class Beginning(NamedTuple):
    """What a run begins with.

    Attributes:
      state: before the first step.
      checksum: of the weights that the config names; "" if it names none.
    """

    state: TrainState
    checksum: str


def of(run: Run, console: Console) -> Beginning:
    """The beginning of a run; says in one line which weights are taken, if any.

    Raises:
      UserError: the weights that the config names cannot be read, are not finite, or
        do not fit, or other processes have other ones.
    """
    if not run.config.model.initial_weights:
        return Beginning(run.initial_state(), "")
    path = files.named(run.config.model.initial_weights, FIELD)
    found = _found(path)
    found = found._replace(weights=jax.device_get(found.weights))
    _check_name(path, found, run)
    converted.check_finite(path, found.weights)
    layer = model.classifier_layer(run.model)
    given = _given(found, layer, run.data)
    if problem := _problem(given, run, layer):
        raise UserError(
            f"{FIELD}: {path} does not fit {run.config.model.name} and images "
            f"{run.data.image_shape}: {problem}"
        )
    checksum = _checksum(found.weights)
    processes.agree(f"weights of {FIELD}", f"checksum {checksum}")
    for line in _said(path, checksum, found, run):
        console.print(line, highlight=False)
    return Beginning(_placed(run, given), checksum)


def _found(path: files.Path) -> Stored:
    if stored.is_run(path):
        return stored.of_run(path, FIELD, "float32")
    stored.check_file(path, FIELD)
    return stored.of_converted(converted.read_any(path), "float32")


def _check_name(path: files.Path, found: Stored, run: Run) -> None:
    ours, theirs = run.config.model.name, found.described["model"]
    if ours != theirs:
        raise UserError(
            f"{FIELD}: {path} has weights of {theirs}, but model.name is {ours}"
        )


def _same_classes(found: Stored, data: DataSet) -> bool:
    """Whether the classifier is for the run's classes, as far as names are known."""
    pairs = zip(found.class_names or (), data.class_names or (), strict=False)
    return found.num_classes == data.num_classes and all(a == b for a, b in pairs)


def _name(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _of_classifier(name: str, layer: tuple[str, ...]) -> bool:
    return name.startswith("/".join(("params", *layer, "")))


def _given(found: Stored, layer: tuple[str, ...], data: DataSet) -> dict[str, Any]:
    """The arrays that the run takes, by name, without columns of padding."""
    keeps, arrays = _same_classes(found, data), {}
    for path, leaf in jax.tree.leaves_with_path(found.weights):
        name = _name(path)
        if not _of_classifier(name, layer):
            arrays[name] = leaf
        elif keeps:
            arrays[name] = leaf[..., : found.num_classes]
    return arrays


def _problem(given: Mapping[str, Any], run: Run, layer: tuple[str, ...]) -> str:
    """The first thing in which the arrays differ from what the run needs, or ""."""
    state = run.abstract_state
    shapes = {
        _name(path): leaf.shape
        for path, leaf in jax.tree.leaves_with_path(state.weights)
    }
    for name, array in given.items():
        if name not in shapes:
            return f"it has {name}, which is not in the model"
        expected = shapes[name]
        if _of_classifier(name, layer):
            expected = (*expected[:-1], run.data.num_classes)
        if array.shape != expected:
            hint = (
                "; train.convert --image_size fits positions to images of another size"
            ) * name.endswith("pos_embed")
            return f"{name} is {array.shape} there and {expected} here{hint}"
    for name in shapes:
        if name not in given and not _of_classifier(name, layer):
            return f"it lacks {name}"
    return ""


def _checksum(weights: Weights) -> str:
    """That of the weights as this process has read them."""
    place = sharding.replicated(Mesh(np.array(jax.local_devices()[:1]), ("data",)))
    return weights_checksum(jax.device_put(weights, place))


def _said(path: files.Path, checksum: str, found: Stored, run: Run) -> Iterator[str]:
    """What the user is told."""
    begin = f"starting from the weights in {path} (checksum {checksum})"
    if _same_classes(found, run.data):
        yield f"{begin}, with their classifier"
    elif not found.num_classes:
        yield f"{begin}; they have no classifier, so it is drawn at random"
    else:
        yield (
            f"{begin}; their classifier is for {found.num_classes} other classes, so "
            f"it is drawn at random for {run.data.num_classes}"
        )
    ours = [list(values) for values in run.config.model.normalize]
    if ours != (theirs := found.described["normalize"]):
        names = [each or "the architecture's own" for each in (theirs, ours)]
        yield (
            f"{FIELD}: the weights were for images normalised by {names[0]}, and "
            f"model.normalize is {names[1]}"
        )


def _placed(run: Run, given: Mapping[str, Any]) -> TrainState:
    """The state that the run would draw, with the arrays in it."""

    def begun(state: TrainState, given: Mapping[str, Array]) -> TrainState:
        def taken(path: tuple[Any, ...], leaf: Array) -> Array:
            array = given.get(_name(path))
            if array is None:
                return leaf
            return leaf.at[..., : array.shape[-1]].set(array.astype(leaf.dtype))

        weights = jax.tree.map_with_path(taken, state.weights)
        # A copy: two leaves of one buffer could not both be donated to the step.
        copy = jax.tree.map(jnp.copy, weights)
        return state.replace(
            params=weights.params,
            batch_stats=weights.batch_stats,
            opt_state=state.tx.init(weights.params),
            averaged=None if state.averaged is None else copy,
        )

    arrays = jax.device_put(dict(given), sharding.replicated(run.mesh))
    return jax.jit(begun, out_shardings=run.state_shardings)(
        run.initial_state(), arrays
    )
