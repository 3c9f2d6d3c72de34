"""The only loop: resume, step, log, evaluate, save, and stop on a non-finite loss."""

import dataclasses
import math
import pathlib
import platform
import time
from collections.abc import Callable
from typing import NoReturn

import flax
import grain
import jax
import numpy as np
from rich.console import Console

import ikl_jax
from train import compare, files, pictures, settings, sharding
from train.checkpoint import Checkpoints
from train.data import pipeline
from train.errors import UserError
from train.evaluation import Evaluator, Threat, Verdict
from train.progress import Display
from train.recipes.recipe import Metrics, Step
from train.run import Run, build
from train.state import TrainState
from train.types import Config
from train.writers import MetricsWriter, logged


def train(config: Config, workdir: pathlib.Path, console: Console) -> dict:
    """Runs `config` in `workdir`, from its newest checkpoint if there is one.

    Returns:
      What `result.json` holds; that of a finished run as it is.

    Raises:
      UserError: the config or the workdir cannot be used, or the loss is not finite.
    """
    run = build(config)
    settings.claim(workdir, config)
    finished = workdir / "result.json"
    if finished.exists():
        console.print(f"{workdir} is finished", highlight=False)
        result = files.read_json(finished)
    else:
        result = _train(run, workdir, console)
        files.write_whole(finished, files.to_json(result))
    console.print(compare.table({str(workdir): result}))
    return result


@dataclasses.dataclass(frozen=True)
class _Outputs:
    """Where a run's numbers go."""

    checkpoints: Checkpoints
    writer: MetricsWriter
    display: Display
    seconds: Callable[[], float]


def _train(run: Run, workdir: pathlib.Path, console: Console) -> dict:
    config = run.config
    evaluator = Evaluator(
        run.model, run.data.test, Threat.of(config), run.mesh,
        batch_size=config.evaluation.batch_size, seed=config.seed,
    )  # fmt: skip
    batches = pipeline.training_batches(
        run.data.train, config.data, batch_size=config.batch_size, seed=config.seed
    )
    checkpoints = Checkpoints(workdir)
    # 1. Start from the newest checkpoint, else from the beginning.
    state = run.initial_state()
    if checkpoints.latest_step() is not None:
        state = checkpoints.restore(state, batches)
        console.print(f"resuming {workdir} at step {int(state.step)}", highlight=False)
    step = int(state.step)
    earlier = [line.get("seconds", 0.0) for line in logged(workdir, until=step)]
    seconds = _stopwatch(max(earlier, default=0.0))
    writer = MetricsWriter(workdir, step)
    display = Display(console, total=run.total_steps, done=step, epochs=config.epochs)
    outputs = _Outputs(checkpoints, writer, display, seconds)
    try:
        with display:
            state = _epochs(run, state, batches, evaluator, outputs)
        verdict = evaluator(state.evaluated)
        writer.write(run.total_steps, _evaluated(verdict))
    finally:
        checkpoints.close()
        writer.close()
    picture = workdir / "examples.png"
    pictures.save(picture, evaluator.examples(state.evaluated), Threat.of(config))
    return _result(run, state, verdict, seconds())


def _epochs(
    run: Run,
    state: TrainState,
    batches: grain.DatasetIterator,
    evaluator: Evaluator,
    outputs: _Outputs,
) -> TrainState:
    """All epochs from the state's on; checkpoints, so starts too, are at their ends."""
    config = run.config
    everywhere = sharding.replicated(run.mesh)
    step_fn = jax.jit(run.recipe.step, out_shardings=everywhere, donate_argnums=0)
    end_epoch = jax.jit(
        run.recipe.end_epoch, out_shardings=everywhere, donate_argnums=0
    )
    first = int(state.step) // run.steps_per_epoch + 1
    for epoch in range(first, config.epochs + 1):
        # 2. Steps, logged; stops if a metric is not finite.
        state, metrics = _steps(run, step_fn, state, batches, epoch, outputs)
        state = end_epoch(state)
        step, last = epoch * run.steps_per_epoch, epoch == config.epochs
        # 3. Evaluate, on part of the split.
        every = config.evaluation.every
        if every and epoch % every == 0 and not last:
            verdict = evaluator(state.evaluated, config.evaluation.during_training)
            outputs.writer.write(step, _evaluated(verdict))
            metrics = metrics | _evaluated(verdict)
        outputs.display.epoch(step, epoch, metrics)
        # 4. Save, unless the last step has left nothing worth it.
        if not evaluator.is_finite(state.weights):
            _stop("the logits are", {}, step, outputs.checkpoints)
        if epoch % config.checkpoint_every == 0 or last:
            outputs.checkpoints.save(state, batches)
    return state


def _steps(
    run: Run,
    step_fn: Step,
    state: TrainState,
    batches: grain.DatasetIterator,
    epoch: int,
    outputs: _Outputs,
) -> tuple[TrainState, dict[str, float]]:
    """One epoch of steps; returns the means since the last but one line of the log."""
    pending: list[Metrics] = []
    means: dict[str, float] = {}
    end = epoch * run.steps_per_epoch
    for step in range(end - run.steps_per_epoch + 1, end + 1):
        state, metrics = step_fn(state, sharding.put(next(batches), run.mesh))
        pending.append(metrics)
        outputs.display.step(step, epoch)
        if step % run.config.log_every == 0 or step == end:
            means, pending = _means(pending), []
            _check_finite(means, step, outputs.checkpoints)
            outputs.writer.write(step, {**means, "seconds": outputs.seconds()})
            outputs.display.metrics(means)
    return state, means


def _stopwatch(before: float) -> Callable[[], float]:
    start = time.monotonic()
    return lambda: before + time.monotonic() - start


def _means(pending: list[Metrics]) -> dict[str, float]:
    fetched = jax.device_get(pending)
    return {
        name: float(np.mean([metrics[name] for metrics in fetched]))
        for name in fetched[0]
    }


def _check_finite(means: dict[str, float], step: int, checkpoints: Checkpoints) -> None:
    if not all(math.isfinite(value) for value in means.values()):
        _stop("a metric is", means, step, checkpoints)


def _stop(
    what: str, means: dict[str, float], step: int, checkpoints: Checkpoints
) -> NoReturn:
    shown = ", ".join(f"{name} {value:g}" for name, value in means.items())
    last = checkpoints.latest_step()
    saved = f"step {last} is saved" if last is not None else "nothing is saved yet"
    raise UserError(
        f"{what} not finite at step {step} {f'({shown})' if shown else ''}; {saved}. "
        "Look at optimizer.learning_rate (too high?), loss.strength, loss.alpha, "
        "awp.gamma and the images and labels around that step"
    )


def _evaluated(verdict: Verdict) -> dict[str, float]:
    return {
        "eval_natural_accuracy": verdict.natural_accuracy,
        "eval_robust_accuracy": verdict.robust_accuracy,
    }


def _result(run: Run, state: TrainState, verdict: Verdict, seconds: float) -> dict:
    config, threat = run.config, Threat.of(run.config)
    return {
        "config": config.name,
        "dataset": config.data.source,
        "evaluated_on": config.data.evaluate_on,
        "num_examples": len(verdict.natural),
        "weights": "averaged" if state.averaged is not None else "last",
        "epochs": config.epochs,
        "steps": run.total_steps,
        "seconds": round(seconds, 2),
        "epsilon": threat.epsilon,
        "norm": threat.norm,
        "natural_accuracy": verdict.natural_accuracy,
        "robust_accuracy": {threat.name: verdict.robust_accuracy},
        "versions": {
            "python": platform.python_version(),
            "jax": jax.__version__,
            "flax": flax.__version__,
            "ikl_jax": ikl_jax.__version__,
        },
    }
