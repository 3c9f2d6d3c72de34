"""What a run works with in this process, opened before the loop and closed after it."""

import contextlib
import dataclasses
import json
import time
from collections.abc import Callable
from functools import partial

import jax
from rich.console import Console

from train.base.errors import UserError
from train.base.files import Path
from train.base.files.lock import Lock
from train.data import fingerprint
from train.devices import processes
from train.devices.preemption import Watch
from train.evaluation import summaries
from train.evaluation.batch_attack import PgdAttack
from train.evaluation.pgd import Evaluator
from train.evaluation.predictions import Predictions
from train.experiment import settings
from train.experiment.checkpoint import Checkpoints
from train.experiment.run import CHECKPOINTS, Run
from train.recipes.recipe import Step
from train.recipes.state import TrainState, Weights
from train.teachers import cached_logits
from train.teachers.cached_logits import TeacherLogits
from train.training import drift, initial, program
from train.training.progress import Display
from train.training.record import RunRecord
from train.training.writers import MetricsWriter, NoWriter, logged


@dataclasses.dataclass(frozen=True)
class Session:
    """What a run works with, besides the record of where it stands.

    Attributes:
      run: what the config names.
      step: the compiled step.
      end_epoch: the compiled end of an epoch.
      drift: what the epoch's last line of the log says of the class means.
      teacher_logits: adds them to a batch; does nothing for a run without a teacher.
      evaluator: of weights on the test part.
      checkpoints: where the record is saved.
      writer: of the metrics.
      display: what the user sees.
      watch: notices SIGTERM.
      held: the workdir's lock.
      seconds: the time that the run has taken, in earlier sessions too.
    """

    run: Run
    step: Step
    end_epoch: Callable[[TrainState], TrainState]
    drift: Callable[[TrainState], dict[str, float]]
    teacher_logits: TeacherLogits
    evaluator: Evaluator
    checkpoints: Checkpoints
    writer: MetricsWriter | NoWriter
    display: Display
    watch: Watch
    held: Lock
    seconds: Callable[[], float]

    def evaluate(self, weights: Weights, limit: int | None = None) -> Predictions:
        """The predictions for the first `limit` test examples (None: all)."""
        keep = summaries.need_logits(self.run.config)
        return self.evaluator(weights, limit, keep_logits=keep)


def start(
    run: Run,
    workdir: Path,
    console: Console,
    watch: Watch,
    held: Lock,
    stack: contextlib.ExitStack,
) -> tuple[RunRecord, Session]:
    """Opens a session, and the record that the run goes on from.

    Args:
      run: to be trained.
      workdir: of the run, claimed already.
      console: for the user.
      watch: that has been entered.
      held: the workdir's lock.
      stack: closes what the session holds open; that waits for what is being saved.

    Raises:
      UserError: the run cannot go on from what the workdir holds.
    """
    config, data = run.config, _data_fingerprint(run)
    processes.agree("data", data)
    _print_devices(run, console)
    teacher_logits = cached_logits.of(run, console, between=watch.check)
    checkpoints = Checkpoints(workdir / CHECKPOINTS, keep=config.keep_checkpoints)
    stack.callback(checkpoints.close)
    provenance = _labels(run) | {"data": data, **teacher_logits.provenance}
    record = _record(run, workdir, checkpoints, teacher_logits, provenance, console)
    processes.on_main(lambda: settings.record(workdir, config))
    seconds = _stopwatch(workdir, record.step)
    writer = _writer(run, workdir, record)
    stack.callback(writer.close)
    return record, Session(
        run=run,
        step=program.compiled_step(run),
        end_epoch=jax.jit(
            run.recipe.end_epoch, out_shardings=run.state_shardings, donate_argnums=0
        ),
        drift=drift.of_run(run),
        teacher_logits=teacher_logits,
        evaluator=_evaluator(run, watch),
        checkpoints=checkpoints,
        writer=writer,
        display=Display(
            console, total=run.total_steps, done=record.step, epochs=config.epochs
        ),
        watch=watch,
        held=held,
        seconds=seconds,
    )


def _data_fingerprint(run: Run) -> str:
    """That of the data set, and of each stream's examples."""
    streams = (
        f"{name}: {fingerprint.of_split(stream.split)}"
        for name, stream in sorted(run.streams.items())
    )
    return ", ".join([fingerprint.fingerprint(run.data), *streams])


def _labels(run: Run) -> dict[str, str]:
    """The fingerprint of the labelled examples, where only a few are labelled."""
    if run.data.unlabelled is None:
        return {}
    return {"labels": fingerprint.of_split(run.data.train)}


def _print_devices(run: Run, console: Console) -> None:
    mesh = ", ".join(f"{axis} {size}" for axis, size in run.mesh.shape.items())
    console.print(
        f"{jax.default_backend()} devices: {jax.device_count()} ({mesh})",
        highlight=False,
    )


def _record(
    run: Run,
    workdir: Path,
    checkpoints: Checkpoints,
    teacher_logits: TeacherLogits,
    provenance: dict[str, str],
    console: Console,
) -> RunRecord:
    """That of the newest whole checkpoint, or of a run that has not begun."""
    config = run.config
    batches = run.training_batches(teacher_logits.columns)
    record_of = partial(
        RunRecord, batches=batches, measure=_measure(run), provenance=provenance,
        class_names=run.data.class_names,
    )  # fmt: skip
    saved = checkpoints.restore(run.abstract_state, report=console.print)
    if saved is None:
        begun = initial.of(run, console)
        return record_of(begun.state, initial_weights=begun.checksum)
    if saved.step > run.total_steps:
        raise UserError(
            f"{workdir} is at step {saved.step} already, beyond epochs="
            f"{config.epochs}, which is {run.total_steps} steps"
        )
    record = record_of(saved.tree)
    try:
        record.go_on_from(saved)
    except UserError as error:
        raise UserError(f"{workdir}: {error}") from error
    console.print(f"resuming {workdir} at step {saved.step}", highlight=False)
    return record


def _measure(run: Run) -> str:
    """Describes the evaluation in training, as far as a config may change it."""
    evaluation = run.config.evaluation
    names = ("steps", "relative_step_size", "restarts", "during_training")
    return json.dumps({name: getattr(evaluation, name) for name in names})


def _evaluator(run: Run, watch: Watch) -> Evaluator:
    config = run.config
    return Evaluator(
        run.model, run.data.test, PgdAttack.of(config), run.mesh,
        num_classes=run.data.num_classes, seed=config.seed,
        batch_size=config.evaluation.batch_size, between=watch.check,
    )  # fmt: skip


def _writer(run: Run, workdir: Path, record: RunRecord) -> MetricsWriter | NoWriter:
    """A writer that goes on after the record's step, on the first process alone."""
    # All processes read the log before process 0 truncates it.
    processes.barrier("log read")
    if not processes.is_main():
        return NoWriter()
    # An evaluation that will be made again is not to be logged twice.
    again = not record.evaluated or record.step == run.total_steps
    return MetricsWriter(workdir, record.step, again=again)


def _stopwatch(workdir: Path, step: int) -> Callable[[], float]:
    """The seconds of a run, from what the log says that it took up to `step`."""
    lines = logged(workdir, until=step)
    before = max((line.get("seconds", 0.0) for line in lines), default=0.0)
    begin = time.monotonic()
    return lambda: before + time.monotonic() - begin
