"""What a recipe is, what it is built from, and the functions that recipes share."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, cast

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from ikl_jax import ClassMeans
from ikl_jax.attacks.common import keys
from ikl_jax.types import Array, PyTree
from train.base.config import Config
from train.data.pipeline import Stream
from train.data.splits import DataSet
from train.data.subsets import class_splits
from train.networks import classes
from train.networks import model as network
from train.recipes import averaging, optim
from train.recipes.losses import Divergence
from train.recipes.optim import layers
from train.recipes.state import TrainState, Weights

Metrics = dict[str, Any]  # arrays, or `Share`s of them
Step = Callable[[TrainState, Any], tuple[TrainState, Metrics]]


class Model(Protocol):
    """What recipes use of a Linen module."""

    def init(self, *args: Any, **kwargs: Any) -> Any: ...

    def apply(self, variables: Any, /, *args: Any, **kwargs: Any) -> Any: ...


class Share(NamedTuple):
    """A metric whose mean over steps is the sum of parts by the sum of wholes."""

    part: Array
    whole: Array


def _as_they_are(metrics: Metrics, withheld: Mapping[str, Array]) -> Metrics:
    """The judgement of a recipe from whose step nothing is withheld."""
    return metrics


class BuiltRecipe(NamedTuple):
    """Pure functions, to be compiled by the loop.

    Attributes:
      init: a key to the initial state.
      step: `(state, batch)` to the next state and metrics.
      end_epoch: applied to the state after the last step of each epoch.
      judge: the step's metrics and the columns that were withheld from it, to the
        metrics that are logged: scalars, or each a `Share`.
    """

    init: Callable[[Array], TrainState]
    step: Step
    end_epoch: Callable[[TrainState], TrainState]
    judge: Callable[[Metrics, Mapping[str, Array]], Metrics] = _as_they_are


@dataclasses.dataclass(frozen=True)
class Task:
    """What a recipe is built from.

    Attributes:
      config: the whole config of the run.
      model: as `train.networks.model.create` makes it. It may give more logits than
        there are classes, and where it has BatchNorm, its groups are those of one
        micro-batch.
      num_classes: the number of classes of the data.
      image_shape: height, width and channels.
      steps_per_epoch: what ramps, schedules and averages count an epoch by.
      mesh: the devices; None: one device.
    """

    config: Config
    model: Model
    num_classes: int
    image_shape: tuple[int, int, int]
    steps_per_epoch: int
    mesh: Mesh | None = None

    @property
    def taught_classes(self) -> tuple[int, ...]:
        """The classes that a teacher knows: in a task, those of the tasks before it."""
        before = class_splits.seen_before(self.config.continual, self.num_classes)
        return tuple(range(self.num_classes)) if before is None else before

    def cross_entropy(self, logits: Array, labels: Array) -> Array:
        """The mean cross-entropy, with `loss.label_smoothing`.

        In a sequence of tasks, `continual.cross_entropy` says over which classes.
        """
        continual = self.config.continual
        if continual.task and continual.cross_entropy == "task":
            tasks = class_splits.tasks_of_classes(continual, self.num_classes)
            padded = jnp.pad(tasks, (0, logits.shape[-1] - len(tasks)))
            same = padded[labels][:, None] == padded[None]
            logits = jnp.where(same, logits, classes.PADDING_LOGIT)
        smoothing = self.config.loss.label_smoothing
        return cross_entropy(logits, labels, self.num_classes, smoothing)

    def finish(self, step: Step, *, uses_class_means: bool) -> BuiltRecipe:
        """The recipe around a step that updates parameters and statistics."""
        config = self.config
        average_step, average_epoch = averaging.create(
            config.averaging, self.steps_per_epoch
        )

        def averaged_step(state: TrainState, batch: Any) -> tuple[TrainState, Metrics]:
            state, metrics = step(state, batch)
            return average_step(state), metrics

        def end_epoch(state: TrainState) -> TrainState:
            if state.class_means is not None:
                means = state.class_means.advance(config.loss.class_means_momentum)
                state = state.replace(class_means=means)
            return average_epoch(state)

        def init(key: Array) -> TrainState:
            return self._initial_state(key, uses_class_means)

        return BuiltRecipe(init, averaged_step, end_epoch)

    def _initial_state(self, key: Array, uses_class_means: bool) -> TrainState:
        init_key, run_key = jax.random.split(key)
        image = jnp.zeros((1, *self.image_shape))
        variables = self.model.init(init_key, image, train=False)
        weights = Weights(variables["params"], variables.get("batch_stats", {}))
        means = self._class_means() if uses_class_means else None
        # A copy: two leaves of one buffer could not both be donated to the step.
        copy = jax.tree.map(jnp.copy, weights)
        state = TrainState.create(
            apply_fn=self.model.apply,
            params=weights.params,
            tx=self._optimizer(),
            batch_stats=weights.batch_stats,
            key=run_key,
            class_means=means,
            averaged=None if self.config.averaging.every == "none" else copy,
        )
        return state.replace(step=jnp.zeros((), jnp.int32))

    def _optimizer(self) -> optax.GradientTransformation:
        optimizer = self.config.optimizer
        by_layer = optimizer.layer_decay != 1
        return optim.create(
            optimizer,
            epochs=self.config.epochs,
            steps_per_epoch=self.steps_per_epoch,
            depths=layers.depths(self.model, self.image_shape) if by_layer else None,
        )

    def _class_means(self) -> ClassMeans:
        multiple_of = self.config.model.classes_multiple_of
        width = classes.padded_width(self.num_classes, multiple_of)
        return classes.uniform_means(self.taught_classes, width)


def _accepts(config: Config) -> None:
    """The check of a recipe that refuses nothing of its own."""


def _no_streams(data: DataSet, config: Config) -> Mapping[str, Stream]:
    """The streams of a recipe that trains on labelled examples alone."""
    return {}


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A recipe that `config.recipe` can name: what it needs, and how it is built.

    Attributes:
      name: as configs write it.
      build: makes the three functions of a task.
      divergences: those that `loss.name` may name, by name. Empty: the recipe has a
        loss of its own and reads no `loss.name`.
      attacks: whether it trains on adversarial examples, so that `config.attack`,
        `config.awp` and `config.batch_norm` have a meaning.
      needs_teacher: whether each batch comes with the logits of `teacher.path`. Other
        recipes accept no teacher.
      takes_second_view: whether it can train on a second view of each image.
      learns_tasks: whether it can train on the classes of one task after another.
      check: raises `UserError` for values that no other recipe would refuse.
      streams: other examples that join each batch, by name; see
        `train.data.pipeline.Stream`. They are made from the data and the config.
    """

    name: str
    build: Callable[[Task], BuiltRecipe]
    divergences: Mapping[str, Divergence] = dataclasses.field(default_factory=dict)
    attacks: bool = False
    needs_teacher: bool = False
    takes_second_view: bool = False
    learns_tasks: bool = False
    check: Callable[[Config], None] = _accepts
    streams: Callable[[DataSet, Config], Mapping[str, Stream]] = _no_streams


def ramp(epoch: Array, epochs: float) -> Array:
    """The share of its full value, in `epoch` (from 0), that grows over `epochs`."""
    return jnp.minimum((epoch + 1) / max(epochs, 1), 1.0)


def to_pixels(image: Array) -> Array:
    """uint8 images as float32 in [0, 1]."""
    return image.astype(jnp.float32) / 255


def evaluate_logits(model: Model, weights: Weights, x: Array) -> Array:
    """Logits with BatchNorm's running statistics."""
    return cast(Array, model.apply(weights.variables, x, train=False))


def keys_of(model: Model, key: Array, count: int) -> Array | None:
    """`[count]`, a random key for each example; None for a model that draws nothing.

    What an example draws then depends neither on the part of the batch that it is in
    nor on the devices.
    """
    draws = network.draws_in_training(model)
    return keys.example_keys(key, count) if draws else None


def keys_of_pass(model: Model, examples: Array, number: int) -> Array | None:
    """Keys for one of several passes over examples, which draw independently.

    Args:
      model: of the task.
      examples: `[B]`, a key for each.
      number: of the pass.

    Returns:
      `[B]`; None for a model that draws nothing.
    """
    draws = network.draws_in_training(model)
    return keys.fold_each(examples, number) if draws else None


def train_logits(
    model: Model, weights: Weights, x: Array, example_keys: Array | None = None
) -> tuple[Array, PyTree]:
    """Logits as in training, and BatchNorm's new running statistics.

    BatchNorm has the statistics of this batch.

    Args:
      model: of the task.
      weights: of the model.
      x: `[B, H, W, K]` in [0, 1].
      example_keys: `[B]`, for a model with stochastic depth: of `keys_of`.
    """
    drawing = {} if example_keys is None else {"keys": example_keys}
    logits, updated = model.apply(
        weights.variables, x, train=True, mutable=["batch_stats"], **drawing
    )
    return logits, updated.get("batch_stats", {})


def cross_entropies(
    logits: Array, labels: Array, num_classes: int, label_smoothing: float
) -> Array:
    """`[B]`; `label_smoothing` is spread evenly over all classes, the label's too."""
    targets = jax.nn.one_hot(labels, logits.shape[-1])
    share = label_smoothing / num_classes
    uniform = jnp.where(classes.is_class(logits.shape, num_classes), share, 0.0)
    targets = (1 - label_smoothing) * targets + uniform
    return optax.losses.softmax_cross_entropy(logits, targets)


def cross_entropy(
    logits: Array, labels: Array, num_classes: int, label_smoothing: float
) -> Array:
    """The mean of `cross_entropies`."""
    return jnp.mean(cross_entropies(logits, labels, num_classes, label_smoothing))


def is_right(logits: Array, labels: Array) -> Array:
    """`[B]`, whether the label has the largest logit."""
    return jnp.argmax(logits, axis=-1) == labels


def accuracy(logits: Array, labels: Array) -> Array:
    return jnp.mean(is_right(logits, labels))
