"""The only loop: resume, step, log, evaluate, save, and stop on a non-finite loss."""

import json
import math
import pathlib
import platform
import time
from typing import Any

import flax
import jax
import numpy as np
from ml_collections import ConfigDict
from rich.console import Console

import ikl_jax
from train import compare, pictures, settings, sharding
from train.checkpoint import Checkpoints
from train.data import pipeline
from train.errors import UserError
from train.evaluation import Evaluator, Threat
from train.progress import Display
from train.run import Run, build
from train.state import TrainState
from train.writers import MetricsWriter


def train(config: ConfigDict, workdir: pathlib.Path, console: Console) -> dict:
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
        result = json.loads(finished.read_text())
    else:
        result = _train(run, workdir, console)
        finished.write_text(json.dumps(result, indent=2) + "\n")
    console.print(compare.table({str(workdir): result}))
    return result


def _train(run: Run, workdir: pathlib.Path, console: Console) -> dict:
    config = run.config
    batches = pipeline.training_batches(
        run.data.train, config.data, batch_size=config.batch_size, seed=config.seed
    )
    evaluator = Evaluator(
        run.model, run.data.test, Threat.of(config), run.mesh,
        batch_size=config.evaluation.batch_size, seed=config.seed,
    )  # fmt: skip
    checkpoints = Checkpoints(workdir)
    # 1. Start from the newest checkpoint, else from the beginning.
    state = run.initial_state()
    if checkpoints.latest_step() is not None:
        state = checkpoints.restore(state, batches)
        console.print(f"resuming {workdir} at step {int(state.step)}", highlight=False)
    seconds_before = _seconds(workdir)
    writer = MetricsWriter(workdir, int(state.step))
    start = time.monotonic()

    def elapsed() -> float:
        return seconds_before + time.monotonic() - start

    try:
        state = _epochs(
            run, state, batches, evaluator, checkpoints, writer, console, elapsed
        )
    finally:
        checkpoints.close()
        writer.close()
    return _finish(run, state, evaluator, workdir, elapsed())


def _epochs(
    run: Run,
    state: TrainState,
    batches: Any,
    evaluator: Evaluator,
    checkpoints: Checkpoints,
    writer: MetricsWriter,
    console: Console,
    elapsed: Any,
) -> TrainState:
    config, mesh = run.config, run.mesh
    everywhere = sharding.replicated(mesh)
    step_fn = jax.jit(run.recipe.step, out_shardings=everywhere, donate_argnums=0)
    end_epoch = jax.jit(
        run.recipe.end_epoch, out_shardings=everywhere, donate_argnums=0
    )
    step = int(state.step)
    display = Display(
        console, total=run.total_steps, done=step, epochs=config.epochs
    )
    pending: list[dict] = []
    with display:
        while step < run.total_steps:
            # 2. Step.
            state, metrics = step_fn(state, sharding.put(next(batches), mesh))
            step += 1
            pending.append(metrics)
            epoch, within = divmod(step, run.steps_per_epoch)
            epoch_ends = within == 0
            display.step(step, epoch + (not epoch_ends))
            # 3. Log the means since the last line; stop if they are not finite.
            if step % config.log_every == 0 or epoch_ends:
                means = _means(pending)
                pending = []
                _check_finite(means, step, checkpoints)
                writer.write(step, {**means, "seconds": elapsed()})
                display.metrics(means)
            if not epoch_ends:
                continue
            state = end_epoch(state)
            # 4. Evaluate, on part of the split.
            every = config.evaluation.every
            if every and epoch % every == 0 and epoch < config.epochs:
                verdict = evaluator(
                    state.evaluated, config.evaluation.during_training
                )
                evaluated = {
                    "eval_natural_accuracy": verdict.natural_accuracy,
                    "eval_robust_accuracy": verdict.robust_accuracy,
                }
                writer.write(step, evaluated)
                means |= evaluated
            display.epoch(step, epoch, means)
            # 5. Save.
            if epoch % config.checkpoint_every == 0 or step == run.total_steps:
                checkpoints.save(state, batches)
    return state


def _means(pending: list[dict]) -> dict[str, float]:
    fetched = jax.device_get(pending)
    return {
        name: float(np.mean([metrics[name] for metrics in fetched]))
        for name in fetched[0]
    }


def _check_finite(means: dict[str, float], step: int, checkpoints: Checkpoints) -> None:
    if all(math.isfinite(value) for value in means.values()):
        return
    shown = ", ".join(f"{name} {value:g}" for name, value in means.items())
    last = checkpoints.latest_step()
    saved = f"step {last} is saved" if last is not None else "nothing is saved yet"
    raise UserError(
        f"a metric was not finite in the steps up to {step} ({shown}); {saved}. Look at "
        "optimizer.learning_rate (too high?), loss.strength, loss.alpha and awp.gamma, "
        "and at the images and labels around that step"
    )


def _seconds(workdir: pathlib.Path) -> float:
    """Seconds that the run had taken by its last line of metrics.jsonl."""
    path = workdir / "metrics.jsonl"
    if not path.exists():
        return 0.0
    seconds = [0.0]
    for line in path.read_text().splitlines():
        try:
            seconds.append(json.loads(line).get("seconds", 0.0))
        except json.JSONDecodeError:
            continue
    return max(seconds)


def _finish(
    run: Run,
    state: TrainState,
    evaluator: Evaluator,
    workdir: pathlib.Path,
    seconds: float,
) -> dict:
    config, threat = run.config, Threat.of(run.config)
    verdict = evaluator(state.evaluated)
    pictures.save(workdir / "examples.png", evaluator.examples(state.evaluated), threat)
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
