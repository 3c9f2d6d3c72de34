"""What the recipes know of a divergence: one record and one signature for all."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from ikl_jax.types import Array
from train.base.config import AttackConfig, LossConfig


class Target(NamedTuple):
    """What logits `[B, C]` are compared with.

    Attributes:
      logits: `[B, C]`, the teacher's or those of the natural images. A recipe whose
        target receives no gradient stops it beforehand.
      labels: `[B]`.
      weights: `[B, C]`, of the squared error; None: the target's own prediction.
      scale: where these examples are a part of a batch, what `batch_scale` gives for
        the whole batch; None: they are the whole batch.
    """

    logits: Array
    labels: Array
    weights: Array | None = None
    scale: Array | None = None


class Coefficients(NamedTuple):
    """The numbers of a divergence; each divergence uses those that it knows."""

    alpha: float
    beta: float
    gamma: float
    temperature: float = 1.0
    target_temperature: float | None = None  # None: the same as `temperature`

    @classmethod
    def of(
        cls, section: LossConfig | AttackConfig, temperature: float = 1.0
    ) -> "Coefficients":
        return cls(section.alpha, section.beta, section.gamma, temperature)


@dataclasses.dataclass(frozen=True)
class Divergence:
    """A divergence that `loss.name` and `attack.loss` can name.

    Attributes:
      name: as configs write it.
      loss: `(logits, target, coefficients)` to one value per example, `[B]`.
      weights: where the weights of its squared error come from. "none": it has no
        weights, or makes its own. "chosen": from what `loss.weights` names.
        "class_means": from the class means, always.
      raises_weights: whether it raises the weights to the power of gamma.
      batch_scale: `(weights, gamma)` of a whole batch to the number by which the
        weights of its parts are divided; None: an example's loss does not depend on
        the other examples of its batch.
      moves_target: whether the target's logits receive gradient, unless they are
        stopped beforehand.
      takes_target_temperature: whether it applies `target_temperature` where it
        belongs. The logits of others' targets are scaled beforehand.
    """

    name: str
    loss: Callable[[Array, Target, Coefficients], Array]
    weights: Literal["none", "chosen", "class_means"] = "none"
    raises_weights: bool = False
    batch_scale: Callable[[Array, float], Array] | None = None
    moves_target: bool = True
    takes_target_temperature: bool = False

    @functools.cached_property
    def reads(self) -> frozenset[str]:
        """Of alpha, beta and gamma those that its value depends on."""
        logits, weights = jnp.zeros((2, 3)), jnp.full((2, 3), 1 / 3)
        target = Target(logits, jnp.zeros(2, int), weights)
        names = ("alpha", "beta", "gamma")
        value = lambda numbers: self.loss(logits, target, Coefficients(*numbers))
        traced = jax.make_jaxpr(value)((1.0,) * len(names)).jaxpr
        used = {id(each) for equation in traced.eqns for each in equation.invars}
        read = zip(names, traced.invars, strict=True)
        return frozenset(name for name, number in read if id(number) in used)

    def uses_class_means(self, loss: LossConfig) -> bool:
        """Whether its weights come from the class means, given `loss.weights`."""
        if self.weights == "chosen":
            return loss.weights == "class_means"
        return self.weights == "class_means"

    def scale(self, weights: Array | None, gamma: float) -> Array | None:
        """`Target.scale` for the parts of a batch that has these weights.

        Raises:
          ValueError: the scale depends on the examples' own predictions, which are
            known only after a pass over all parts.
        """
        if self.batch_scale is None:
            return None
        if weights is None:
            raise ValueError(
                f"{self.name} with the sample's own weights needs the whole batch"
            )
        return self.batch_scale(weights, gamma)
