"""Scores of checkpoints, and which checkpoint is the best one.

A checkpoint has a score if its weights were evaluated when it was saved. All scores of
a run come from the same examples and the same attack, the last epoch's too, unless the
config of the evaluation was changed between two starts. Therefore each score names the
measure that it was made with, and only scores of the newest measure are compared.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orbax.checkpoint as ocp

from train.experiment import checksums


class Score(NamedTuple):
    """How good the evaluated weights of a checkpoint are.

    Attributes:
      value: the larger the better.
      measure: describes the evaluation that it comes from.
    """

    value: float
    measure: str


def to_metrics(score: Score | None) -> dict[str, Any]:
    """A score as Orbax's metrics of a checkpoint; None: the checkpoint has no score."""
    return checksums.seal(score)


def from_metrics(metrics: Any) -> Score | None:
    """The score in Orbax's metrics; None if there is none, or if it is damaged."""
    try:
        content = checksums.unseal(metrics)
    except (KeyError, TypeError, ValueError):
        return None
    return None if content is None else Score(*content)


def best_step(scores: Mapping[int, Score]) -> int | None:
    """The step with the best score of the newest measure, the earliest of several.

    >>> best_step({22: Score(0.5, "pgd20"), 44: Score(0.7, "pgd20")})
    44
    >>> best_step({22: Score(0.9, "pgd5"), 44: Score(0.7, "pgd20")})
    44
    """
    if not scores:
        return None
    measure = scores[max(scores)].measure
    same = {
        step: each.value for step, each in scores.items() if each.measure == measure
    }
    return min(same, key=lambda step: (-same[step], step))


class PreserveBest(ocp.checkpoint_managers.PreservationPolicy):
    """Keeps the best checkpoint. (Orbax's `BestN` would compare any two scores.)"""

    def should_preserve(
        self,
        checkpoints: Sequence[ocp.checkpoint_managers.PolicyCheckpointInfo],
        *,
        context: ocp.checkpoint_managers.PreservationContext,
    ) -> Sequence[bool]:
        scores = {each.step: from_metrics(each.metrics) for each in checkpoints}
        best = best_step({step: score for step, score in scores.items() if score})
        return [each.step == best for each in checkpoints]
