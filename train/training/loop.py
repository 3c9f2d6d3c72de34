"""The only loop: resume, step, log, evaluate, save, and stop when told or in need."""

import contextlib
import dataclasses
import math
import pathlib
import time
from collections.abc import Callable
from typing import Any, NoReturn

import grain
import jax
from rich.console import Console

from train.base import files
from train.base.config import Config
from train.base.errors import UserError
from train.data import pipeline
from train.data.fingerprint import fingerprint
from train.devices import processes, sharding
from train.devices.preemption import Preempted, Watch
from train.evaluation.pgd import Evaluator, PgdAttack
from train.evaluation.predictions import Predictions
from train.evaluation.target import weights_checksum
from train.experiment import settings
from train.experiment.checkpoint import Checkpoints
from train.experiment.run import BEST, CHECKPOINTS, Run, build
from train.recipes.recipe import Metrics, Step
from train.recipes.state import TrainState
from train.reports import pictures, tables
from train.teachers import cached_logits
from train.teachers.cached_logits import TeacherLogits
from train.training import health
from train.training import result as results
from train.training.progress import Display
from train.training.writers import MetricsWriter, NoWriter, logged

# What a run may not go on with another of.
ORIGINS = {"data": "data set", "teacher": "teacher"}


def train(config: Config, workdir: pathlib.Path, console: Console) -> dict:
    """Runs `config` in `workdir`, from its newest checkpoint if there is one.

    Returns:
      What `result.json` holds; that of a finished run as it is.

    Raises:
      UserError: the config or the workdir cannot be used, or the loss is not finite.
      Preempted: told to stop; the same call goes on from there.
    """
    with Watch() as watch:
        settings.agree(config)
        run = build(config)
        processes.on_main(lambda: settings.claim(workdir, config))
        watch.check()
        finished = workdir / "result.json"
        result = files.read_json(finished) if finished.exists() else None
        if result is not None and result["epochs"] == config.epochs:
            console.print(f"{workdir} is finished", highlight=False)
            if settings.changed(workdir, config, "evaluation."):
                console.print("evaluate it otherwise with python -m train.evaluate")
        else:
            result = _train(run, workdir, console, watch)
            if processes.is_main():
                files.write_whole(finished, files.to_json(result))
            processes.barrier("finished")
    console.print(tables.table({str(workdir): result}))
    return result


@dataclasses.dataclass(frozen=True)
class _Parts:
    """What a run works with, besides its state."""

    run: Run
    batches: grain.DatasetIterator
    evaluator: Evaluator
    checkpoints: Checkpoints
    best: Checkpoints
    writer: MetricsWriter | NoWriter
    display: Display
    watch: Watch
    seconds: Callable[[], float]
    taught: TeacherLogits
    origins: dict[str, str]

    def save(self, state: TrainState, **position: Any) -> None:
        """Starts to save the state and where in the run it stands."""
        step = int(state.step)
        told = {**position, "batches": self.batches.get_state(), **self.origins}
        self.checkpoints.save(step, state, told)


@dataclasses.dataclass(frozen=True)
class _Start:
    """Where a run goes on.

    Attributes:
      state: at the end of an epoch, that epoch is closed (averages, class means).
      pending: metrics of the steps since the last line of the log.
      evaluated: whether nothing is left to do for the epoch that has just ended.
      best: score of the best evaluation so far.
    """

    state: TrainState
    pending: list[dict[str, float]]
    evaluated: bool
    best: float


def _train(run: Run, workdir: pathlib.Path, console: Console, watch: Watch) -> dict:
    with contextlib.ExitStack() as stack:
        start, parts = _set_up(run, workdir, console, watch, stack)
        with parts.display:
            state = _epochs(start, parts)
            parts.checkpoints.wait()
            parts.best.wait()
        predictions = parts.evaluator(state.evaluated)
        parts.writer.write(run.total_steps, _evaluated(predictions))
    examples = parts.evaluator.examples(state.evaluated)
    if processes.is_main():
        pictures.save(workdir / "examples.png", examples, PgdAttack.of(run.config))
    weights = "last" if state.averaged is None else "averaged"
    return results.of(
        run, predictions, weights=weights,
        checksum=weights_checksum(state.evaluated), seconds=parts.seconds(),
    )  # fmt: skip


def _set_up(
    run: Run,
    workdir: pathlib.Path,
    console: Console,
    watch: Watch,
    stack: contextlib.ExitStack,
) -> tuple[_Start, _Parts]:
    """What is needed to go on; `stack` closes it, waiting for what is being saved."""
    config, data = run.config, fingerprint(run.data)
    processes.agree("data", data)
    _say_where(run, console)
    taught = cached_logits.of(run, console, between=watch.check)
    origins = {"data": data, **taught.origins}
    evaluator = Evaluator(
        run.model, run.data.test, PgdAttack.of(config), run.mesh,
        num_classes=run.data.num_classes,
        batch_size=config.evaluation.batch_size, seed=config.seed,
        between=watch.check,
    )  # fmt: skip
    batches = pipeline.training_batches(
        run.data.train, config.data, batch_size=config.batch_size,
        seed=config.seed, rows=run.local_rows, columns=taught.columns,
        synthetic=run.data.synthetic,
    )  # fmt: skip
    checkpoints = Checkpoints(workdir / CHECKPOINTS, keep=config.keep_checkpoints)
    stack.callback(checkpoints.close)
    best = Checkpoints(workdir / BEST, keep=1)
    stack.callback(best.close)
    # 1. Start from the newest whole checkpoint, else from the beginning.
    start = _start(run, workdir, checkpoints, batches, origins, console)
    step = int(start.state.step)
    best.forget_after(step)
    processes.on_main(lambda: settings.record(workdir, config))
    # An evaluation that will be made again is not to be logged twice.
    again = not start.evaluated or step == run.total_steps
    earlier = [line.get("seconds", 0.0) for line in logged(workdir, until=step)]
    seconds = _stopwatch(max(earlier, default=0.0))
    processes.barrier("log read")
    writer = (
        MetricsWriter(workdir, step, again=again) if processes.is_main() else NoWriter()
    )
    stack.callback(writer.close)
    display = Display(console, total=run.total_steps, done=step, epochs=config.epochs)
    return start, _Parts(
        run, batches, evaluator, checkpoints, best, writer, display, watch, seconds,
        taught, origins,
    )  # fmt: skip


def _say_where(run: Run, console: Console) -> None:
    mesh = ", ".join(f"{axis} {size}" for axis, size in run.mesh.shape.items())
    console.print(
        f"{jax.default_backend()} devices: {jax.device_count()} ({mesh})",
        highlight=False,
    )


def _start(
    run: Run,
    workdir: pathlib.Path,
    checkpoints: Checkpoints,
    batches: grain.DatasetIterator,
    origins: dict[str, str],
    console: Console,
) -> _Start:
    """The newest checkpoint's, with `batches` set to its position, or the first."""
    saved = checkpoints.restore(run.abstract_state, report=console.print)
    if saved is None:
        return _Start(run.initial_state(), [], True, -math.inf)
    position = saved.position
    for origin, now in origins.items():
        if (before := position[origin]) != now:
            raise UserError(
                f"{workdir}: the {ORIGINS[origin]} has changed since step {saved.step} "
                f"was saved; it was {before}, now it is {now}"
            )
    if saved.step > run.total_steps:
        raise UserError(
            f"{workdir} is at step {saved.step} already, beyond epochs="
            f"{run.config.epochs}, which is {run.total_steps} steps"
        )
    batches.set_state(position["batches"])
    console.print(f"resuming {workdir} at step {saved.step}", highlight=False)
    return _Start(
        saved.tree, position["pending"], position["evaluated"], position["best"]
    )


def _epochs(start: _Start, parts: _Parts) -> TrainState:
    """All epochs from the start's on."""
    run, state, best = parts.run, start.state, start.best
    step_fn = _step_function(run)
    end_epoch = jax.jit(
        run.recipe.end_epoch, out_shardings=run.state_shardings, donate_argnums=0
    )
    finished = int(state.step) // run.steps_per_epoch
    if not start.evaluated:
        best = _close(state, finished, {}, best, parts)
    pending = start.pending
    for epoch in range(finished + 1, run.config.epochs + 1):
        # 2. Steps, logged; stops if a metric is not finite.
        state, metrics = _steps(step_fn, state, epoch, pending, best, parts)
        pending = []
        # 3. The epoch's end: averages and class means, evaluation, checkpoint.
        state = end_epoch(state)
        best = _close(state, epoch, metrics, best, parts)
    return state


def _step_function(run: Run) -> Step:
    """The recipe's step, compiled once for each size of batch, and never again.

    What it needs is on the devices: a copy from the host in it is an error.
    """
    jitted = jax.jit(
        run.recipe.step,
        out_shardings=(run.state_shardings, sharding.replicated(run.mesh)),
        donate_argnums=0,
    )
    programs: dict[int, Step] = {}

    def step(state: TrainState, batch: Any) -> tuple[TrainState, Metrics]:
        size = len(batch["label"])
        if size not in programs:
            programs[size] = jitted.lower(state, batch).compile()
        with jax.transfer_guard("disallow"):
            return programs[size](state, batch)

    return step


def _close(
    state: TrainState,
    epoch: int,
    metrics: dict[str, float],
    best: float,
    parts: _Parts,
) -> float:
    """Evaluates and saves after an epoch; returns the best score so far."""
    run, config = parts.run, parts.run.config
    step, last = epoch * run.steps_per_epoch, epoch == config.epochs
    if not parts.evaluator.is_finite(state.weights):
        health.stop("the logits are", {}, step, parts.checkpoints)
    every = config.evaluation.every
    if every and epoch % every == 0 and not last:
        try:
            predictions = parts.evaluator(
                state.evaluated, config.evaluation.during_training
            )
        except Preempted:
            parts.save(state, pending=[], evaluated=False, best=best)
            raise
        parts.writer.write(step, _evaluated(predictions))
        metrics = metrics | _evaluated(predictions)
        if predictions.score > best:
            best = predictions.score
            parts.best.save(step, state.evaluated, _evaluated(predictions))
            parts.best.wait()  # before a checkpoint knows of it
    parts.display.epoch(step, epoch, metrics)
    if epoch % config.checkpoint_every == 0 or last:
        parts.save(state, pending=[], evaluated=True, best=best)
    return best


def _steps(
    step_fn: Step,
    state: TrainState,
    epoch: int,
    pending: list[Any],
    best: float,
    parts: _Parts,
) -> tuple[TrainState, dict[str, float]]:
    """The rest of an epoch's steps; returns the means of the last line of the log."""
    run, means = parts.run, {}
    end = epoch * run.steps_per_epoch
    sizes = pipeline.batch_sizes(run.data.train, run.config.data, run.config.batch_size)
    for step in range(int(state.step) + 1, end + 1):
        if parts.watch.requested(step):
            _save_and_stop(state, pending, best, parts)
        size = sizes[(step - 1) % run.steps_per_epoch]
        batch = sharding.put(next(parts.batches), run.mesh, size)
        state, metrics = step_fn(state, parts.taught.added(batch))
        pending.append(metrics)
        parts.display.step(step, epoch)
        if step % run.config.log_every == 0 or step == end:
            means, pending = health.means(pending), []
            health.check_finite(means, step, parts.checkpoints)
            parts.writer.write(step, {**means, "seconds": parts.seconds()})
            parts.display.metrics(means)
    return state, means


def _save_and_stop(
    state: TrainState, pending: list[Any], best: float, parts: _Parts
) -> NoReturn:
    """Between two steps; a state that is no use to go on from is not saved."""
    kept, step = health.fetched(pending), int(state.step)
    for metrics in kept:
        health.check_finite(metrics, step, parts.checkpoints)
    if not parts.evaluator.is_finite(state.weights):
        health.stop("the logits are", {}, step, parts.checkpoints)
    parts.save(state, pending=kept, evaluated=True, best=best)
    raise Preempted


def _stopwatch(before: float) -> Callable[[], float]:
    start = time.monotonic()
    return lambda: before + time.monotonic() - start


def _evaluated(predictions: Predictions) -> dict[str, float]:
    told = {"eval_natural_accuracy": predictions.natural_accuracy}
    robust = predictions.robust_accuracy
    return told if robust is None else told | {"eval_robust_accuracy": robust}
