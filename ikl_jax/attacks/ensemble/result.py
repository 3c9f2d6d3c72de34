"""The result of an evaluation by AutoAttack."""

import dataclasses

import jax
import numpy as np

from ikl_jax.attacks.ensemble.passes import Stage
from ikl_jax.version import __version__


@dataclasses.dataclass(frozen=True, repr=False)
class Result:
    """The result of an evaluation, and its arguments.

    Attributes:
      x_adv: `[N, ...]` float32: an adversarial example where one was found, else x.
      robust: `[N]`, whether the prediction is right on x and on all inputs tried.
      stages: (name, robust accuracy after it, seconds), "clean" first.
      epsilon: radius of the ball.
      norm: of the ball.
      version: which attacks were made.
      notes: what was left out and what looks wrong, in sentences.
      key: the random key's data.
      versions: of jax and of ikl_jax.
      classes: the classes that there are; None: all.
    """

    x_adv: np.ndarray
    robust: np.ndarray
    stages: tuple[Stage, ...]
    epsilon: float
    norm: str
    version: str
    notes: tuple[str, ...]
    key: tuple[int, ...]
    versions: dict[str, str]
    classes: tuple[int, ...] | None = None

    @property
    def robust_accuracy(self) -> float:
        return float(self.robust.mean())

    @property
    def seconds(self) -> float:
        return sum(stage.seconds for stage in self.stages)

    def __repr__(self) -> str:
        """Five lines: the arrays are described and not printed."""
        stages = ", ".join(
            f"{stage.name} {100 * stage.robust_accuracy:.2f} %" for stage in self.stages
        )
        versions = ", ".join(f"{name} {text}" for name, text in self.versions.items())
        return "\n".join(
            [
                f"Result(AutoAttack {self.version}, {self.norm} epsilon "
                f"{self.epsilon:g}: {int(self.robust.sum())} of {len(self.robust)} "
                "examples are robust",
                f"  stages: {stages}; {self.seconds:.1f} s",
                f"  x_adv: {self.x_adv.dtype} {self.x_adv.shape}, robust: "
                f"{self.robust.dtype} {self.robust.shape}",
                f"  notes: {'; '.join(self.notes) or 'none'}",
                f"  key: {self.key}, {versions})",
            ]
        )


def package_versions() -> dict[str, str]:
    """The versions that a result depends on."""
    return {"jax": jax.__version__, "ikl_jax": __version__}
