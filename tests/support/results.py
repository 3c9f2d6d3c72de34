"""Finished runs without training: what their folders would hold."""

import json

from configs import base
from train.experiment import settings
from train.reports.folders import RunFiles

RESULT = {
    "config": "base", "dataset": "digits", "weights": "last", "epochs": 30, "steps": 44,
    "weights_checksum": "aaaaaaaa", "dtype": "float32", "seconds": 7.3,
    "data_fingerprint": "360 of 8x8x1 (0)", "evaluated_on": "test",
    "num_examples": 360, "natural_accuracy": 0.9, "epsilon": 0.12, "norm": "linf",
    "robust_accuracy": {"pgd5": 0.5},
    "attack": {
        "attack": "pgd", "steps": 5, "relative_step_size": 0.5, "restarts": 1, "seed": 0
    },
}  # fmt: skip


def config(**fields):
    """The JSON of the base config, with dotted fields changed (`loss__name="kl"`)."""
    made = base.get_config()
    changed = {name.replace("__", "."): value for name, value in fields.items()}
    made.update_from_flattened_dict(changed)
    return json.loads(made.to_json())


def result(natural, robust, **changed):
    return (
        RESULT
        | {"natural_accuracy": natural, "robust_accuracy": {"pgd5": robust}}
        | changed
    )


def finished(folder, natural, robust, *, records=(), of_result=(), **fields):
    """A finished run in memory."""
    return RunFiles(
        f"runs/{folder}", result(natural, robust, **dict(of_result)), list(records),
        dict(settings.flat(config(**fields))),
    )  # fmt: skip


def write(folder, natural, robust, *, records=(), **fields):
    """A finished run as files."""
    folder.mkdir(parents=True)
    made = config(**fields)
    (folder / "config.json").write_text(json.dumps(made))
    found = result(natural, robust, epochs=made["epochs"])
    (folder / "result.json").write_text(json.dumps(found))
    if records:
        (folder / "evaluation.json").write_text(json.dumps(dict(records)))


def measure(name, found, **changed):
    """A record of a measure on the weights of `RESULT`."""
    return {
        "weights": "last", "step": 44, "weights_checksum": "aaaaaaaa", "dtype": "float32",
        "dataset": "digits", "data_fingerprint": "360 of 8x8x1 (0)",
        "evaluated_on": "test", "num_examples": 360, "part_examples": 360,
        "measure": name, "natural_accuracy": 0.9, "robust_accuracy": {}, "found": found,
        **changed,
    }  # fmt: skip
