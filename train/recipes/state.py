"""The training state: all that a run carries from step to step, as one pytree."""

import flax.struct
import jax
from flax.training import train_state

from ikl_jax import ClassMeans
from ikl_jax.types import Array, PyTree


@flax.struct.dataclass
class Weights:
    """The variables of a model: parameters and BatchNorm's running statistics."""

    params: PyTree
    batch_stats: PyTree

    @property
    def variables(self) -> PyTree:
        return {"params": self.params, "batch_stats": self.batch_stats}


class TrainState(train_state.TrainState):
    """Flax's train state (step, params, optimiser) and what the recipes add.

    Attributes:
      batch_stats: running statistics of BatchNorm; empty for models without BatchNorm.
      key: the run's random key, which never changes: each step folds its number in.
      class_means: mean predictions of each class; None if no loss needs them.
      averaged: averaged weights; None if the config asks for no averages.
    """

    batch_stats: PyTree
    key: Array
    class_means: ClassMeans | None = None
    averaged: Weights | None = None

    @property
    def weights(self) -> Weights:
        return Weights(self.params, self.batch_stats)

    @property
    def evaluated(self) -> Weights:
        """The weights that are evaluated: the averaged ones, if there are any."""
        return self.weights if self.averaged is None else self.averaged

    def step_key(self) -> Array:
        """This step's random key, the same after a restart."""
        return jax.random.fold_in(self.key, self.step)
