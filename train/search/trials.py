"""One trial of a study: a run in a folder of its own, and what is told of it."""

import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from train.base import contents
from train.base.errors import UserError
from train.experiment import finished, metrics_log
from train.search import studies
from train.search.studies import Settings
from train.training import health

if TYPE_CHECKING:
    import optuna

TRIALS = "trials"  # the folder of the trials' folders
# Each objective in `result.json`, and in the evaluations during training.
OBJECTIVES = {
    "natural": ("natural_accuracy", "eval_natural_accuracy"),
    "robust": ("robust_accuracy", "eval_robust_accuracy"),
}


def folder_of(workdir: pathlib.Path, trial: Any) -> pathlib.Path:
    """The workdir of a trial's run."""
    name = trial.user_attrs.get("folder", f"{trial.number:04}")
    return workdir / TRIALS / name


def overrides(params: Mapping[str, Any]) -> list[str]:
    """The flags that give a run the values of a trial."""
    given = {
        field: repr(value) if isinstance(value, float) else value
        for field, value in params.items()
    }
    return [f"--config.{field}={value}" for field, value in given.items()]


def accuracies(result: Mapping[str, Any], where: object) -> dict[str, float]:
    """The objectives that a run's `result.json` has, in [0, 1].

    Raises:
      UserError: it has been evaluated on another part than the validation part.
    """
    if (part := result.get("evaluated_on")) != "validation":
        raise UserError(f"{where} was evaluated on {part}, not on validation")
    found = {"natural": float(result["natural_accuracy"])}
    robust = contents.check_object(where, result, robust_accuracy=Mapping[str, float])
    for value in robust["robust_accuracy"].values():
        found["robust"] = float(value)
    return found


class Pruning:
    """Reads a run's evaluations while it goes on; says when to end it.

    An evaluation is reported under the number of its epoch. After the last epoch there
    is nothing to be saved any more.
    """

    def __init__(
        self, trial: "optuna.Trial", folder: pathlib.Path, wanted: Settings
    ) -> None:
        self._trial, self._folder, self._wanted = trial, folder, wanted
        self._name = OBJECTIVES[wanted.objectives[0]][1]
        self._reported = 0
        self.pruned = False

    def __call__(self) -> bool:
        """Whether the trial is to end now."""
        if self._wanted.pruner == "none" or len(self._wanted.objectives) > 1:
            return False
        config = self._wanted.config
        found = evaluations(self._folder, self._name)
        for number in range(self._reported, len(found)):
            epoch = (number + 1) * config.evaluation.every
            if epoch < config.epochs:
                self._trial.report(found[number], epoch)
                self.pruned = self.pruned or self._trial.should_prune()
        self._reported = max(self._reported, len(found))
        return self.pruned


def evaluations(folder: pathlib.Path, name: str) -> list[float]:
    """The evaluations in training so far, in their order."""
    lines = map(metrics_log.line, metrics_log.texts(folder))
    return [line[name] for line in lines if line is not None and name in line]


def tell(
    study: "optuna.Study",
    trial: "optuna.Trial",
    wanted: Settings,
    *,
    code: int,
    error: str,
    pruned: bool,
) -> str:
    """Tells the study how a trial has ended; returns it in words.

    Args:
      study: of the trial.
      trial: that was run.
      wanted: of the study.
      code: the exit code of the run; negative: the number of the signal that ended it.
      error: what the run said of a failure.
      pruned: whether it was asked to end.
    """
    import optuna

    if code == 0:
        return _tell_result(study, trial, wanted)
    if pruned and died(code):
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        return "pruned"
    if died(code):
        studies.fail(study, trial.number)
        again = studies.requeue(study, trial)
        return "its process ended; " + ("it is queued again" if again else "given up")
    trial.set_user_attr("error", error)
    diverged = health.NOT_FINITE in error and len(wanted.objectives) == 1
    state = optuna.trial.TrialState.PRUNED if diverged else optuna.trial.TrialState.FAIL
    study.tell(trial, state=state)
    return f"failed: {error}"


def _tell_result(study: "optuna.Study", trial: "optuna.Trial", wanted: Settings) -> str:
    """Tells the study what a finished run has reached; returns it in words."""
    folder = folder_of(wanted.workdir, trial)
    result = finished.read(folder, seconds=float, natural_accuracy=float)
    if result is None:
        raise UserError(f"{folder} has ended without a {finished.FILE}")
    found = accuracies(result, folder / finished.FILE)
    if missing := [name for name in wanted.objectives if name not in found]:
        raise UserError(f"{folder / finished.FILE} lacks the accuracy {missing[0]}")
    for name, value in {**found, "seconds": result["seconds"]}.items():
        trial.set_user_attr(name, value)
    study.tell(trial, [found[name] for name in wanted.objectives])
    return ", ".join(f"{name} {100 * value:.1f} %" for name, value in found.items())


def died(code: int) -> bool:
    """Whether a run ended by no fault of its config, so that it may go on."""
    return code < 0 or code in (75, 130, 141)
