"""The flags that say what is evaluated: a run, or a file of weights and its data."""

import pathlib
from collections.abc import Mapping
from typing import Any

from absl import flags
from ml_collections import config_flags

from train.base import files
from train.base.errors import UserError
from train.cli.config_flag import define_config
from train.evaluation import target
from train.experiment import settings
from train.networks import converted

BASE_CONFIG = pathlib.Path(__file__).parent.parent.parent / "configs" / "base.py"
FLAGS = {
    "workdir": "The folder of the run, or for the results of --weights=FILE. Required "
    "without --weights=FILE.",
    "weights": "last, averaged or best of a run (default: averaged if the run keeps "
    "them), or a file of train.convert.",
    "source": "With --weights=FILE: the data to evaluate on.",
    "model": "With --weights=FILE: the architecture that the file must hold.",
}
WEIGHTS = ("last", "averaged", "best")
OF_A_FILE = ("model", "source", "config")
# Fields of the config that change the evaluation of a file.
FIELDS_OF_A_FILE = (
    "mesh", "seed", "data.", "attack.norm", "attack.epsilon", "evaluation.batch_size",
    "evaluation.shots", "evaluation.steps", "evaluation.restarts",
    "evaluation.relative_step_size",
)  # fmt: skip


def define(values: flags.FlagValues, argv: list[str]) -> None:
    """Defines the flags."""
    for name, text in FLAGS.items():
        flags.DEFINE_string(name, None, text, flag_values=values)
    define_config(
        values, argv, str(BASE_CONFIG), "With --weights=FILE: how its data are read, "
        "and the defaults of the attack. Single fields, of a run too: "
        "--config.FIELD=VALUE.",
    )  # fmt: skip
    flags.register_multi_flags_validator(
        ["weights", "workdir"], _names_something,
        "--workdir is required, or --weights=FILE", flag_values=values,
    )  # fmt: skip


def is_file(weights: str | None) -> bool:
    """Whether `--weights` names a file, not weights of a run."""
    return weights is not None and weights not in WEIGHTS


def changed_fields(values: flags.FlagValues) -> Mapping[str, Any]:
    """The fields of the config that flags override, with their values."""
    return config_flags.get_override_values(values["config"])


def target_of(values: flags.FlagValues) -> target.Target:
    """What the flags name.

    Raises:
      UserError: there is no such run or file, or a flag does not apply to it.
    """
    if not is_file(values.weights):
        for name in OF_A_FILE:
            if values[name].present:
                raise UserError(f"--{name} is for --weights=FILE, not for a run")
        workdir = files.of_run(values.workdir, "--workdir")
        return target.of_run(workdir, values.weights, changed_fields(values))
    for field in changed_fields(values):
        if not settings.is_among(field, FIELDS_OF_A_FILE):
            raise UserError(
                f"--config.{field} has no effect with --weights=FILE; these fields "
                f"have: {', '.join(FIELDS_OF_A_FILE)}"
            )
    return _of_a_file(values)


def _of_a_file(values: flags.FlagValues) -> target.Target:
    path, config = files.named(values.weights, "--weights"), values.config
    if path.suffix != ".npz":
        raise UserError(
            f"--weights must be {', '.join(WEIGHTS)} or an .npz file of train.convert, "
            f"got {path}; python -m train.convert makes one from torch's files"
        )
    model = converted.read(path).model
    if values.model not in (None, model):
        raise UserError(f"--model={values.model}, but {path} holds weights of {model}")
    config.data.source = values.source or config.data.source
    workdir = files.named(values.workdir or str(path.with_suffix("")), "--workdir")
    with files.written(workdir):
        workdir.mkdir(parents=True, exist_ok=True)
    return target.of_file(path, config, workdir)


def _names_something(given: dict[str, str | None]) -> bool:
    return bool(given["workdir"]) or is_file(given["weights"])
