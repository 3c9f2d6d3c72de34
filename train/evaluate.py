"""Evaluates a run: `python -m train.evaluate --workdir=runs/digits_ikl_at --steps=100`.

Prints natural and robust accuracy and adds them to `evaluation.json` in the workdir.
`--attack=autoattack` judges by AutoAttack, which goes on where it was stopped, and
draws `autoattack.png`. Weights of `train.convert` are judged on any source:

`python -m train.evaluate --weights=FILE.npz --source=cifar10:DIR --attack=autoattack`
"""

import dataclasses
import pathlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from absl import flags
from ml_collections import config_flags

from ikl_jax import checks
from ikl_jax.attacks.common import geometry
from train import cli
from train.base import files
from train.base.errors import UserError, explained

if TYPE_CHECKING:
    from train.evaluation.pgd import PgdAttack
    from train.evaluation.target import Target

KINDS = ("last", "averaged", "best")
BASE_CONFIG = pathlib.Path(__file__).parent.parent / "configs" / "base.py"
OF_A_FILE = ("model", "source", "config")
LISTED = ("stages", "notes")  # an entry a line


def main(argv: Sequence[str] | None = None) -> int:
    argv = list(sys.argv if argv is None else argv)
    values = flags.FlagValues()
    for define, name, default, text in (
        (flags.DEFINE_string, "workdir", None, "The run's folder, or the results'."),
        (flags.DEFINE_string, "weights", None, "last, averaged or best of a run "
         "(default: averaged if kept), or a file of train.convert."),
        (flags.DEFINE_string, "source", None, "Of a file: the data to judge it on."),
        (flags.DEFINE_string, "model", None, "Of a file: what it must be of."),
        (flags.DEFINE_string, "norm", None, "linf, l2 or l1; default: the config's."),
        (flags.DEFINE_float, "epsilon", None, "Radius in [0, 1] pixels."),
        (flags.DEFINE_integer, "steps", None, "PGD steps a restart."),
        (flags.DEFINE_integer, "restarts", None, "Uniform starts; 0: no attack."),
        (flags.DEFINE_float, "relative_step_size", None, "In epsilons."),
        (flags.DEFINE_integer, "num_examples", None, "Default: the whole split."),
        (flags.DEFINE_string, "version", None, "Of AutoAttack (standard), or its "
         "attacks: apgd-ce,square."),
        (flags.DEFINE_integer, "seed", None, "Of AutoAttack; default: 0."),
    ):  # fmt: skip
        define(name, default, text, flag_values=values)
    flags.DEFINE_bool(
        "picture", True, "Draw what AutoAttack found.", flag_values=values
    )
    flags.DEFINE_enum(
        "attack", "pgd", ["pgd", "autoattack"], "The attack.", flag_values=values
    )
    config_flags.DEFINE_config_file(
        "config", str(BASE_CONFIG), "Of a file: how its data are read, and the "
        "defaults of the attack. Single fields of a run's too: --config.FIELD=VALUE.",
        flag_values=values, sys_argv=argv,
    )  # fmt: skip
    flags.register_multi_flags_validator(
        ["weights", "workdir"], _names_something,
        "--workdir is required, or --weights=FILE", flag_values=values,
    )  # fmt: skip
    return cli.run(values, argv, required=(), call=lambda: _evaluate(values))


def _names_something(given: dict[str, str | None]) -> bool:
    return bool(given["workdir"]) or _is_file(given["weights"])


def _is_file(weights: str | None) -> bool:
    return weights is not None and weights not in KINDS


def _evaluate(values: flags.FlagValues) -> None:
    from train.evaluation.pgd import PgdAttack

    overrides = {
        name: values[name].value
        for name in ("norm", "epsilon", "steps", "restarts", "relative_step_size")
        if values[name].value is not None
    }
    _check({**overrides, "num_examples": values.num_examples})
    target = _target(values)
    threat = dataclasses.replace(PgdAttack.of(target.config), **overrides)
    attack = {"pgd": _pgd, "autoattack": _autoattack}[values.attack]
    name, judged = attack(target, threat, values)
    _write(target, name, judged)
    _show(judged)


def _show(judged: dict[str, Any]) -> None:
    """All but the curve, of which there is a picture."""
    for field, value in judged.items():
        if field == "curve":
            continue
        if field not in LISTED or not value:
            print(f"{field}: {_told(value)}")
            continue
        print(f"{field}:")
        for entry in value:
            print(f"  {_told(entry)}")


def _told(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_told(entry)}" for name, entry in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _target(values: flags.FlagValues) -> "Target":
    from train.evaluation import target
    from train.networks import converted

    if not _is_file(values.weights):
        for name in OF_A_FILE:
            if values[name].present:
                raise UserError(f"--{name} is for --weights=FILE, not for a run")
        changed = config_flags.get_override_values(values["config"])
        return target.of_run(pathlib.Path(values.workdir), values.weights, changed)
    path, config = pathlib.Path(values.weights), values.config
    if path.suffix != ".npz":
        raise UserError(
            f"--weights must be {', '.join(KINDS)} or an .npz file of train.convert, "
            f"got {path}; python -m train.convert makes one of torch's files"
        )
    model = converted.read(path).model
    if values.model not in (None, model):
        raise UserError(f"--model={values.model}, but {path} holds weights of {model}")
    config.data.source = values.source or config.data.source
    workdir = pathlib.Path(values.workdir or path.with_suffix(""))
    with files.written(workdir):
        workdir.mkdir(parents=True, exist_ok=True)
    return target.of_file(path, config, workdir)


def _write(target: "Target", name: str, judged: dict[str, Any]) -> None:
    """Adds to `evaluation.json`."""
    path = target.workdir / "evaluation.json"
    earlier = files.read_json(path) if path.exists() else {}
    added = {f"{name}, {target.name}": judged}
    files.write_whole(path, files.to_json({**earlier, **added}))


def _pgd(
    target: "Target", threat: "PgdAttack", values: flags.FlagValues
) -> tuple[str, dict[str, Any]]:
    from train.evaluation.measures.summary import summary
    from train.evaluation.pgd import Evaluator

    config = target.config
    evaluator = Evaluator(
        target.model, target.data.test, threat, target.mesh,
        batch_size=config.evaluation.batch_size, seed=config.seed,
    )  # fmt: skip
    predictions = evaluator(target.weights, values.num_examples)
    judged = target.told | summary(config, target.data, predictions, threat)
    if not threat.restarts:
        return "natural", judged
    name = f"{threat.name} at {threat.epsilon:g}"
    return name, judged | dataclasses.asdict(threat)


def _autoattack(
    target: "Target", threat: "PgdAttack", values: flags.FlagValues
) -> tuple[str, dict[str, Any]]:
    from rich.console import Console

    from train.evaluation import autoattack

    for name in ("steps", "restarts", "relative_step_size"):
        if values[name].value is not None:
            raise UserError(f"--{name} is for --attack=pgd; AutoAttack has none to set")
    version = values.version or "standard"
    console = Console()
    with explained():
        trial = autoattack.AutoAttackRun.of(target, threat, values.num_examples)
        result = trial.evaluate(version, values.seed or 0, console)
        name = f"autoattack {result.version} ({threat.norm}) at {threat.epsilon:g}"
        judged = target.told | {"evaluated_on": target.config.data.evaluate_on}
        judged |= autoattack.told(result)
        if values.picture:
            _write(target, name, judged)  # the picture takes a while
            judged |= trial.draw(result, console)
    return name, judged


def _check(given: dict[str, Any]) -> None:
    """Raises `UserError` for what no attack can use."""
    given = {name: value for name, value in given.items() if value is not None}
    with explained():
        checks.one_of("norm", given.pop("norm", "linf"), geometry.NORMS)
        checks.positive(num_examples=given.pop("num_examples", 1))
        checks.non_negative(**given)


if __name__ == "__main__":
    sys.exit(main())
