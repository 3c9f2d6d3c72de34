"""Evaluates a run: `python -m train.evaluate --workdir=runs/digits_ikl_at --steps=100`.

Prints natural and PGD accuracy and writes them to `evaluation.json` in the workdir.
"""

import dataclasses
import json
import pathlib
import sys
from collections.abc import Sequence

from absl import flags

from train import cli
from train.errors import UserError


def main(argv: Sequence[str] | None = None) -> int:
    values = flags.FlagValues()
    define = {"flag_values": values}
    flags.DEFINE_string("workdir", None, "The run's folder.", **define)
    flags.DEFINE_enum("attack", "pgd", ["pgd"], "The attack.", **define)
    flags.DEFINE_enum(
        "weights", None, ["last", "averaged"], "Default: averaged if kept.", **define
    )
    flags.DEFINE_enum("norm", None, ["linf", "l2"], "Default: the config's.", **define)
    flags.DEFINE_float("epsilon", None, "Radius in [0, 1] pixels.", **define)
    flags.DEFINE_integer("steps", None, "PGD steps a restart.", **define)
    flags.DEFINE_integer("restarts", None, "Uniform starts.", **define)
    flags.DEFINE_float("relative_step_size", None, "In epsilons.", **define)
    flags.DEFINE_integer("num_examples", None, "Default: the whole split.", **define)
    return cli.run(
        values, argv, required=("workdir",), call=lambda: _evaluate(values)
    )


def _evaluate(values: flags.FlagValues) -> None:
    from train import run as runs
    from train.evaluation import Evaluator, Threat

    workdir = pathlib.Path(values.workdir)
    run, state = runs.reopen(workdir)
    threat = Threat.of(run.config)
    overrides = {
        name: values[name].value
        for name in ("norm", "epsilon", "steps", "restarts", "relative_step_size")
        if values[name].value is not None
    }
    for name, value in overrides.items():
        least = 1 if name == "restarts" else 0
        if not isinstance(value, str) and not value >= least:
            raise UserError(f"--{name} must be >= {least}, got {value}")
    if values.num_examples is not None and values.num_examples < 1:
        raise UserError(f"--num_examples must be >= 1, got {values.num_examples}")
    threat = dataclasses.replace(threat, **overrides)
    if values.weights == "averaged" and state.averaged is None:
        raise UserError("--weights=averaged: this run averages none")
    weights = state.weights if values.weights == "last" else state.evaluated
    evaluator = Evaluator(
        run.model, run.data.test, threat, run.mesh,
        batch_size=run.config.evaluation.batch_size, seed=run.config.seed,
    )  # fmt: skip
    verdict = evaluator(weights, values.num_examples)
    result = {
        "step": int(state.step),
        "weights": values.weights or ("last" if state.averaged is None else "averaged"),
        "evaluated_on": run.config.data.evaluate_on,
        "num_examples": len(verdict.natural),
        **dataclasses.asdict(threat),
        "natural_accuracy": verdict.natural_accuracy,
        "robust_accuracy": {threat.name: verdict.robust_accuracy},
    }
    (workdir / "evaluation.json").write_text(json.dumps(result, indent=2) + "\n")
    for name, value in result.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    sys.exit(main())
