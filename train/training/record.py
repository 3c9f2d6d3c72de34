"""The record of where a run stands, which a checkpoint holds and a run goes on from."""

import dataclasses
import math
from typing import Any

import grain

from train.base.errors import UserError
from train.experiment.checkpoint import Checkpoints, Saved
from train.experiment.scores import Score
from train.recipes.state import TrainState

# What must be the same when a run goes on, as messages call it.
PROVENANCE = {
    "labels": "set of labelled examples (data.num_labels, data.label_list)",
    "data": "data set",
    "teacher": "teacher",
}


@dataclasses.dataclass
class RunRecord:
    """Where a run stands.

    Attributes:
      state: the train state. At the end of an epoch, the epoch is closed: averages and
        class means are those that the next epoch begins with.
      batches: the training data, at the position after the last step.
      measure: describes the evaluation in training; see `train.experiment.scores`.
      provenance: fingerprints of the data and the teacher.
      pending: metrics of the steps since the last line of the log.
      evaluated: whether the last finished epoch has had its evaluation, if one is due.
      best: value of the best score so far, by this `measure`.
      class_names: in the order of the labels, or None; whoever reads the weights
        compares them with the names of other data.
      initial_weights: checksum of the weights that the run began with; "": they were
        drawn at random. They are not read again when it goes on.
    """

    state: TrainState
    batches: grain.DatasetIterator
    measure: str
    provenance: dict[str, str]
    pending: list[Any] = dataclasses.field(default_factory=list)
    evaluated: bool = True
    best: float = -math.inf
    class_names: tuple[str, ...] | None = None
    initial_weights: str = ""

    @property
    def step(self) -> int:
        """The number of finished steps."""
        return int(self.state.step)

    def save(self, checkpoints: Checkpoints, score: float | None = None) -> None:
        """Starts to save the record; `score` is of the state's evaluated weights."""
        position = {
            "pending": self.pending, "evaluated": self.evaluated, "best": self.best,
            "measure": self.measure, "batches": self.batches.get_state(),
            "class_names": self.class_names, "initial_weights": self.initial_weights,
            **self.provenance,
        }  # fmt: skip
        scored = None if score is None else Score(score, self.measure)
        checkpoints.save(self.step, self.state, position, scored)

    def go_on_from(self, saved: Saved) -> None:
        """Makes this record, of a run that has not begun, the one that was saved.

        Raises:
          UserError: the data or the teacher are not those of the saved record.
        """
        position = saved.position
        for name, now in self.provenance.items():
            if (before := position[name]) != now:
                raise UserError(
                    f"the {PROVENANCE[name]} has changed since step {saved.step} was "
                    f"saved; it was {before}, now it is {now}"
                )
        self.state, self.pending = saved.tree, position["pending"]
        self.evaluated = position["evaluated"]
        # Checkpoints of earlier versions began with weights that were drawn.
        self.initial_weights = position.get("initial_weights", "")
        self.batches.set_state(position["batches"])
        # Checkpoints of earlier versions name no measure.
        if position.get("measure") == self.measure:
            self.best = position["best"]
