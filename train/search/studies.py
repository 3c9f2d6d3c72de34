"""A study: its trials, in a database of SQLite in the workdir.

Several processes may work on one study. Each holds the lock of the trial that it runs.
The operating system releases a lock however its process ends, so a trial that is
running in the database and whose lock is free has died. The next process that looks
for work puts its values back into the queue, and the run goes on in the same folder.
"""

import contextlib
import dataclasses
import importlib.util
import json
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from train.base import files
from train.base.config import Config
from train.base.errors import UserError
from train.base.files import lock
from train.experiment import settings
from train.search import space as spaces
from train.search.space import Choices, Range, Space

if TYPE_CHECKING:
    import optuna

DATABASE = "study.db"
LOCK = ".study.lock"
NAME = "study"
FILES = (
    DATABASE, LOCK, ".trial_", ".worker_", ".study.", "trials", "study.", "table.md",
    "sensitivity.", "best",
)  # fmt: skip
PATIENCE = 60  # seconds that a process waits for another one's write
ATTEMPTS = 3  # of a trial whose process dies
SAMPLERS, PRUNERS = ("tpe", "random"), ("median", "none")
# Trials before the first one is pruned, and the share of the epochs that none is.
FIRST_TRIALS, FIRST_EPOCHS = 5, 0.2


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the user asks for.

    Attributes:
      workdir: of the study.
      config: that all trials have in common.
      space: the fields that vary.
      objectives: what is to be as high as possible: natural, robust, or both.
      trials: how many there are in the end, those that failed or were pruned included.
      sampler: one of `SAMPLERS`.
      pruner: one of `PRUNERS`.
      seed: of the sampler.
    """

    workdir: pathlib.Path
    config: Config
    space: Space
    objectives: tuple[str, ...]
    trials: int
    sampler: str = "tpe"
    pruner: str = "median"
    seed: int = 0


def require() -> None:
    """Raises `UserError` unless Optuna is installed."""
    if importlib.util.find_spec("optuna") is None:
        raise UserError("train.tune needs Optuna: pip install -e '.[tune]'")


def opened(wanted: Settings) -> "optuna.Study":
    """The study of a workdir, created if there is none.

    Raises:
      UserError: the workdir holds another study, or something else.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    workdir = wanted.workdir
    files.claim(workdir, "--workdir", FILES)
    with (
        lock.awaited(workdir / LOCK, workdir),
        files.reading(workdir / DATABASE, " as the database of a study"),
    ):
        study = optuna.create_study(
            storage=optuna.storages.RDBStorage(
                f"sqlite:///{workdir.resolve() / DATABASE}",
                engine_kwargs={"connect_args": {"timeout": PATIENCE}},
            ),
            study_name=NAME,
            load_if_exists=True,
            directions=[
                optuna.study.StudyDirection.MAXIMIZE for _ in wanted.objectives
            ],
            pruner=_pruner(wanted),
        )
        _agree(study, wanted)
    return study


def _agree(study: "optuna.Study", wanted: Settings) -> None:
    """Notes what the study is about, or compares it with what was noted."""
    now = {
        "space": spaces.texts(wanted.space),
        "objectives": list(wanted.objectives),
        "config": json.loads(wanted.config.to_json()),
    }
    before = study.user_attrs
    if "config" not in before:
        for name, value in now.items():
            study.set_user_attr(name, value)
        return
    for name in ("space", "objectives"):
        if before[name] != now[name]:
            raise UserError(
                f"{wanted.workdir} holds a study of other {name}: "
                f"{_words(before[name])} there and {_words(now[name])} here. Use "
                "another --workdir, or delete this one"
            )
    changed = settings.differences(before["config"], now["config"])
    fixed = [
        f"{field} is {old!r} there and {new!r} here"
        for field, (old, new) in changed.items()
        if not settings.is_among(field, settings.WITHOUT_EFFECT)
    ]
    if fixed:
        raise UserError(
            f"{wanted.workdir} holds a study of another config: {'; '.join(fixed)}. "
            "Use another --workdir, or delete this one"
        )


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{field}={each}" for field, each in value.items())
    return ",".join(value)


def _pruner(wanted: Settings) -> "optuna.pruners.BasePruner":
    import optuna

    if wanted.pruner == "none":
        return optuna.pruners.NopPruner()
    first = int(FIRST_EPOCHS * wanted.config.epochs) + 1  # epoch that may be the last
    return optuna.pruners.MedianPruner(FIRST_TRIALS, n_warmup_steps=first)


def _sampler(wanted: Settings, number: int) -> "optuna.samplers.BaseSampler":
    """That of a trial: what it draws depends on the trial's number and those before."""
    import optuna

    seed = wanted.seed * 1_000_003 + number
    if wanted.sampler == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed)


def distributions(space: Space) -> dict[str, Any]:
    """The space as Optuna has it."""
    import optuna.distributions as kinds

    def of(values: Range | Choices) -> kinds.BaseDistribution:
        if isinstance(values, Choices):
            return kinds.CategoricalDistribution(values.values)
        if isinstance(values.low, int) and isinstance(values.high, int):
            return kinds.IntDistribution(values.low, values.high, log=values.log)
        return kinds.FloatDistribution(values.low, values.high, log=values.log)

    return {field: of(values) for field, values in space.items()}


@contextlib.contextmanager
def next_trial(
    study: "optuna.Study", wanted: Settings
) -> Iterator["optuna.Trial | None"]:
    """Yields a trial to run, whose lock is held; None: there are enough.

    Trials that another process is running count among those that are wanted.
    """
    workdir = wanted.workdir
    with contextlib.ExitStack() as stack:
        with lock.awaited(workdir / LOCK, workdir):
            requeue_dead(study, workdir)
            trial = _asked(study, wanted)
            if trial is not None:
                path = _lock(workdir, trial.number)
                stack.enter_context(lock.held(path, workdir))
        yield trial


def _asked(study: "optuna.Study", wanted: Settings) -> "optuna.Trial | None":
    trials = study.get_trials(deepcopy=False)
    again = {trial.user_attrs.get("again") for trial in trials}
    waiting = any(trial.state.name == "WAITING" for trial in trials)
    count = sum(trial.number not in again for trial in trials)
    if count >= wanted.trials and not waiting:
        return None
    study.sampler = _sampler(wanted, len(trials))
    trial = study.ask(distributions(wanted.space))
    if "folder" not in trial.user_attrs:
        trial.set_user_attr("folder", f"{trial.number:04}")
    return trial


def _lock(workdir: pathlib.Path, number: int) -> pathlib.Path:
    return workdir / f".trial_{number:04}.lock"


def requeue_dead(study: "optuna.Study", workdir: pathlib.Path) -> None:
    """Puts the values of trials whose process died back into the queue."""
    import optuna

    running = (optuna.trial.TrialState.RUNNING,)
    for trial in study.get_trials(deepcopy=False, states=running):
        with (
            contextlib.suppress(lock.Busy),
            lock.held(_lock(workdir, trial.number), workdir),
        ):
            fail(study, trial.number)
            requeue(study, trial)


def fail(study: "optuna.Study", number: int) -> None:
    import optuna

    study.tell(number, state=optuna.trial.TrialState.FAIL)


def requeue(study: "optuna.Study", trial: Any) -> bool:
    """Asks for a failed trial again, in the same folder; False: it failed too often."""
    attempt = trial.user_attrs.get("attempt", 1) + 1
    if attempt > ATTEMPTS:
        return False
    study.enqueue_trial(
        trial.params,
        user_attrs={
            "folder": trial.user_attrs.get("folder", f"{trial.number:04}"),
            "again": trial.number, "attempt": attempt,
        },
    )  # fmt: skip
    return True


def finished(study: "optuna.Study") -> Sequence[Any]:
    """All trials but those that were asked for again."""
    trials = study.get_trials(deepcopy=False)
    again = {trial.user_attrs.get("again") for trial in trials}
    return [trial for trial in trials if trial.number not in again]
