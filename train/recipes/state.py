"""Everything a run carries from step to step, in one frozen pytree."""

import flax.struct
import jax
from flax.training import train_state

from ikl_jax import ClassMeans
from ikl_jax.types import Array, PyTree


@flax.struct.dataclass
class Weights:
    """What a model is applied with."""

    params: PyTree
    batch_stats: PyTree

    @property
    def variables(self) -> PyTree:
        return {"params": self.params, "batch_stats": self.batch_stats}


class TrainState(train_state.TrainState):
    """Flax's train state (step, params, optimiser) and what our recipes add.

    Attributes:
      batch_stats: running statistics of BatchNorm; empty for models without.
      key: the run's random key, never replaced: steps fold their number into it.
      class_means: of the natural predictions; None where no loss needs them.
      averaged: averaged weights; None where the config averages none.
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
        """The weights that a run is judged by: the averaged ones, if there are any."""
        return self.weights if self.averaged is None else self.averaged

    def step_key(self) -> Array:
        """This step's random key, the same after a restart."""
        return jax.random.fold_in(self.key, self.step)
