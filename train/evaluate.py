"""Evaluates a run: `python -m train.evaluate --workdir=runs/digits_ikl_at --steps=100`.

Prints natural and robust accuracy and adds them to `evaluation.json` in the workdir.
`--attack=autoattack` judges by AutoAttack, which goes on where it was stopped.
"""

import dataclasses
import pathlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from absl import flags

from ikl_jax import checks
from ikl_jax.attacks import geometry
from train import cli, files
from train.errors import UserError, explained

if TYPE_CHECKING:
    from train.evaluation import Threat
    from train.run import Run
    from train.state import Weights


def main(argv: Sequence[str] | None = None) -> int:
    values = flags.FlagValues()
    for define, name, default, text in (
        (flags.DEFINE_string, "workdir", None, "The run's folder."),
        (flags.DEFINE_string, "norm", None, "linf, l2 or l1; default: the config's."),
        (flags.DEFINE_float, "epsilon", None, "Radius in [0, 1] pixels."),
        (flags.DEFINE_integer, "steps", None, "PGD steps a restart."),
        (flags.DEFINE_integer, "restarts", None, "Uniform starts; 0: no attack."),
        (flags.DEFINE_float, "relative_step_size", None, "In epsilons."),
        (flags.DEFINE_integer, "num_examples", None, "Default: the whole split."),
        (flags.DEFINE_string, "version", None, "Of AutoAttack; default: standard."),
        (flags.DEFINE_integer, "seed", None, "Of AutoAttack; default: 0."),
    ):
        define(name, default, text, flag_values=values)
    flags.DEFINE_enum(
        "attack", "pgd", ["pgd", "autoattack"], "The attack.", flag_values=values
    )
    flags.DEFINE_enum(
        "weights", None, ["last", "averaged", "best"], "Default: averaged if kept.",
        flag_values=values,
    )  # fmt: skip
    return cli.run(values, argv, required=("workdir",), call=lambda: _evaluate(values))


def _evaluate(values: flags.FlagValues) -> None:
    from train import run as runs
    from train.evaluation import Threat

    workdir = pathlib.Path(values.workdir)
    run = runs.reopen(workdir)
    step, weights, kind = _weights(run, workdir, values.weights)
    overrides = {
        name: values[name].value
        for name in ("norm", "epsilon", "steps", "restarts", "relative_step_size")
        if values[name].value is not None
    }
    _check({**overrides, "num_examples": values.num_examples})
    threat = dataclasses.replace(Threat.of(run.config), **overrides)
    attack = {"pgd": _pgd, "autoattack": _autoattack}[values.attack]
    name, judged = attack(run, weights, threat, values)
    path = workdir / "evaluation.json"
    earlier = files.read_json(path) if path.exists() else {}
    result = {"step": step, "weights": kind, **judged}
    described = f"{name}, {kind} weights"
    files.write_whole(path, files.to_json({**earlier, described: result}))
    for field, value in result.items():
        print(f"{field}: {value}")


def _pgd(
    run: "Run", weights: "Weights", threat: "Threat", values: flags.FlagValues
) -> tuple[str, dict[str, Any]]:
    from train import results
    from train.evaluation import Evaluator

    evaluator = Evaluator(
        run.model, run.data.test, threat, run.mesh,
        batch_size=run.config.evaluation.batch_size, seed=run.config.seed,
    )  # fmt: skip
    verdict = evaluator(weights, values.num_examples)
    judged = results.judged(run, verdict, threat)
    if not threat.restarts:
        return "natural", judged
    name = f"{threat.name} at {threat.epsilon:g}"
    return name, judged | dataclasses.asdict(threat)


def _autoattack(
    run: "Run", weights: "Weights", threat: "Threat", values: flags.FlagValues
) -> tuple[str, dict[str, Any]]:
    from rich.console import Console

    from train import robustness
    from train.recipes import recipe

    for name in ("steps", "restarts", "relative_step_size"):
        if values[name].value is not None:
            raise UserError(f"--{name} is for --attack=pgd; AutoAttack has none to set")
    version = values.version or "standard"
    journal = pathlib.Path(values.workdir) / "autoattack.journal"
    with explained():
        result = robustness.evaluate(
            lambda x: recipe.evaluate_logits(run.model, weights, x), run.data.test,
            epsilon=threat.epsilon, norm=threat.norm, version=version,
            seed=values.seed or 0, batch_size=run.config.evaluation.batch_size,
            num_examples=values.num_examples, mesh=run.mesh, journal=journal,
            console=Console(),
        )  # fmt: skip
    told = robustness.told(result)
    name = f"autoattack {version} ({threat.norm}) at {threat.epsilon:g}"
    return name, {"evaluated_on": run.config.data.evaluate_on, **told}


def _weights(
    run: "Run", workdir: pathlib.Path, kind: str | None
) -> tuple[int, "Weights", str]:
    """The step, the weights and what to call them."""
    from train import run as runs

    def report(message: str) -> None:
        print(f"warning: {message}", file=sys.stderr)

    if kind == "best":
        saved = runs.best_weights(run, workdir, report)
        return saved.step, saved.tree, kind
    state = runs.newest_state(run, workdir, report)
    if kind == "averaged" and state.averaged is None:
        raise UserError("--weights=averaged: this run averages none")
    kind = kind or ("last" if state.averaged is None else "averaged")
    weights = state.weights if kind == "last" else state.evaluated
    return int(state.step), weights, kind


def _check(given: dict[str, Any]) -> None:
    """Raises `UserError` for what no attack can use."""
    given = {name: value for name, value in given.items() if value is not None}
    with explained():
        checks.one_of("norm", given.pop("norm", "linf"), geometry.NORMS)
        checks.positive(num_examples=given.pop("num_examples", 1))
        checks.non_negative(**given)


if __name__ == "__main__":
    sys.exit(main())
