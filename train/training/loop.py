"""The only loop: resume, step, log, evaluate, save; stop on request or a failure."""

import contextlib
from typing import NoReturn

from rich.console import Console

from train.base.config import Config
from train.base.files import Path, lock
from train.base.files.lock import Lock
from train.devices import processes, sharding
from train.devices.preemption import Preempted, Watch
from train.evaluation.batch_attack import PgdAttack
from train.evaluation.predictions import Predictions
from train.evaluation.target import weights_checksum
from train.experiment import finished, settings
from train.experiment.run import Run, build
from train.reports import pictures, rows, tables
from train.training import health, session
from train.training import result as results
from train.training.record import RunRecord
from train.training.session import Session


def train(config: Config, workdir: Path, console: Console) -> dict:
    """As `finish`, and prints the result as a table."""
    result = finish(config, workdir, console)
    console.print(tables.table({str(workdir): result}))
    return result


def finish(config: Config, workdir: Path, console: Console) -> dict:
    """Runs `config` in `workdir`, from its newest checkpoint if there is one.

    Returns:
      The content of `result.json`; that of a finished run is not changed.

    Raises:
      UserError: the config or the workdir cannot be used, or the loss is not finite.
      Preempted: the run was asked to stop; the same call goes on from there.
    """
    closed = lambda: getattr(console, "closed", False)
    with Watch(closed) as watch, contextlib.ExitStack() as stack:
        settings.agree(config)
        run = build(config)
        held = claim(workdir, config, stack)
        watch.check()
        result = finished.read(workdir, epochs=int)
        if result is not None and result["epochs"] == config.epochs:
            rows.check(workdir / finished.FILE, result, steps=int, seconds=float)
            console.print(f"{workdir} is finished", highlight=False)
            if settings.changed(workdir, config, "evaluation."):
                console.print("evaluate it otherwise with python -m train.evaluate")
        else:
            result = _train(run, workdir, console, watch, held)
            if processes.is_main():
                finished.write(workdir, result)
            processes.barrier("finished")
    return result


def claim(workdir: Path, config: Config, stack: contextlib.ExitStack) -> Lock:
    """Locks the workdir until the stack is closed, and claims it for the config."""
    locks = [Lock()]  # of the other processes, which write nothing

    def claim() -> None:
        settings.prepared(workdir)
        held = lock.held(workdir / settings.LOCK, workdir)
        locks.append(stack.enter_context(held))
        settings.claim(workdir, config)

    processes.on_main(claim)
    return locks[-1]


def _train(run: Run, workdir: Path, console: Console, watch: Watch, held: Lock) -> dict:
    """Trains to the end, evaluates on the whole test part, and draws examples."""
    with contextlib.ExitStack() as stack:
        # 1. Start from the newest whole checkpoint, else from the beginning.
        record, tools = session.start(run, workdir, console, watch, held, stack)
        with tools.display:
            predictions = _epochs(record, tools)
            tools.checkpoints.wait()
        # 5. After the last epoch: all examples, unless they were evaluated just now.
        weights = record.state.evaluated
        if predictions is None or len(predictions.labels) < len(run.data.test):
            predictions = tools.evaluate(weights)
        tools.writer.write(run.total_steps, _accuracies(predictions))
    examples = tools.evaluator.examples(weights)
    if processes.is_main():
        pictures.save(workdir / "examples.png", examples, PgdAttack.of(run.config))
    name = "last" if record.state.averaged is None else "averaged"
    return results.of(
        run, predictions, weights=name, checksum=weights_checksum(weights),
        initial_weights=record.initial_weights, seconds=tools.seconds(),
    )  # fmt: skip


def _epochs(record: RunRecord, tools: Session) -> Predictions | None:
    """The epochs that are left; returns the evaluation that the last one ended with."""
    run, predictions = tools.run, None
    closed = record.step // run.steps_per_epoch
    if not record.evaluated:
        predictions = _close(record, closed, {}, tools)
    for epoch in range(closed + 1, run.config.epochs + 1):
        # 2. Steps; their metrics are logged, and stop the run if one is not finite.
        metrics = _steps(record, epoch, tools)
        # 3. Averages and class means of the epoch.
        record.state = tools.end_epoch(record.state)
        # 4. Evaluation and checkpoint.
        predictions = _close(record, epoch, metrics, tools)
    return predictions


def _steps(record: RunRecord, epoch: int, tools: Session) -> dict[str, float]:
    """The rest of an epoch's steps; returns the means of the last line of the log."""
    run, means = tools.run, {}
    last = epoch * run.steps_per_epoch
    for step in range(record.step + 1, last + 1):
        if tools.watch.requested(step):
            _save_and_stop(record, tools)
        batch = sharding.put(next(record.batches), run.mesh)
        batch = tools.teacher_logits.added(batch)
        record.state, metrics = tools.step(record.state, batch)
        record.pending.append(metrics)
        tools.display.step(step, epoch)
        if step % run.config.log_every == 0 or step == last:
            means = health.means(record.pending)
            record.pending = []
            if step == last:
                means |= tools.drift(record.state)
            health.check_finite(means, step, tools.checkpoints)
            tools.writer.write(step, {**means, "seconds": tools.seconds()})
            tools.display.metrics(means)
    return means


def _close(
    record: RunRecord, epoch: int, metrics: dict[str, float], tools: Session
) -> Predictions | None:
    """Evaluates and saves after an epoch; returns the evaluation, if one was due.

    The last epoch is evaluated as the others are, so that its score counts among
    theirs, before the evaluation on all examples. It is saved in between: a kill in
    the long evaluation loses no training.
    """
    config = tools.run.config
    last, step = epoch == config.epochs, record.step
    if not tools.evaluator.is_finite(record.state.weights):
        health.stop("the logits are", {}, step, tools.checkpoints)
    every = config.evaluation.every
    predictions, score, improved = None, None, False
    if every and (epoch % every == 0 or last):
        predictions = _evaluate(record, tools)
        accuracies = _accuracies(predictions)
        metrics = metrics | accuracies
        if not last:
            tools.writer.write(step, accuracies)
        score = predictions.score
        improved = score > record.best
        record.best = max(score, record.best)
    record.evaluated = True
    tools.display.epoch(step, epoch, metrics)
    if improved or last or epoch % config.checkpoint_every == 0:
        _before_saving(tools)
        record.save(tools.checkpoints, score)
    return predictions


def _evaluate(record: RunRecord, tools: Session) -> Predictions:
    """The evaluation in training; when it is interrupted, the record is saved."""
    limit = tools.run.config.evaluation.during_training
    try:
        return tools.evaluate(record.state.evaluated, limit)
    except Preempted:
        record.evaluated = False
        _before_saving(tools)
        record.save(tools.checkpoints)
        raise


def _save_and_stop(record: RunRecord, tools: Session) -> NoReturn:
    """Saves between two steps, unless the state is of no use to go on from."""
    record.pending = health.fetched(record.pending)
    for metrics in record.pending:
        means = health.means([metrics])
        health.check_finite(means, record.step, tools.checkpoints)
    if not tools.evaluator.is_finite(record.state.weights):
        health.stop("the logits are", {}, record.step, tools.checkpoints)
    _before_saving(tools)
    record.save(tools.checkpoints)
    raise Preempted(tools.watch.by)


def _before_saving(tools: Session) -> None:
    """Nothing is saved without the lock, or before the log's lines that lead to it."""
    tools.held.check()
    tools.writer.sync()


def _accuracies(predictions: Predictions) -> dict[str, float]:
    """The accuracies, under the log's names."""
    accuracies = {"eval_natural_accuracy": predictions.natural_accuracy}
    if predictions.robust_accuracy is not None:
        accuracies["eval_robust_accuracy"] = predictions.robust_accuracy
    return accuracies
