"""Searches whose trials are stand-ins of a tenth of a second, not trainings."""

import json

from configs import base
from train.search import space, studies
from train.search.cells import Cell

# Writes what a run writes: an evaluation for each epoch, then a result.
STAND_IN = """
import json, os, pathlib, signal, sys, time
folder, given = pathlib.Path(sys.argv[1]), json.loads(sys.argv[2])
folder.mkdir(exist_ok=True)
with (folder / "starts").open("a") as file:
    file.write("start ")
values = {name: float(value) for name, value in given.items()}
alpha = values["loss.alpha"]
exec(os.environ.get("STAND_IN", ""))
with (folder / "metrics.jsonl").open("w") as file:
    for epoch in range(1, 5):
        line = {"step": epoch, "eval_natural_accuracy": 0.5,
                "eval_robust_accuracy": alpha / 100}
        file.write(json.dumps(line) + chr(10))
        file.flush()
        time.sleep(float(os.environ.get("STAND_IN_EPOCH", "0")))
result = {"natural_accuracy": 0.9 - alpha / 200, "robust_accuracy": {"pgd20": alpha / 100},
          "evaluated_on": "validation", "seconds": 1.5, "epochs": 4, "steps": 4}
(folder / "result.json").write_text(json.dumps(result))
"""
CONFIG = Cell("", "configs/base.py")


def stand_in(cell, folder):
    """In the place of `cells.train_arguments`."""
    given = dict(each.removeprefix("--config.").split("=") for each in cell.overrides)
    return ["-c", STAND_IN, str(folder), json.dumps(given)]


def wanted(workdir, trials=3, **changed):
    config = base.get_config()
    config.epochs = 4
    config.data.validation_size, config.data.evaluate_on = 300, "validation"
    given = {
        "space": space.read("loss.alpha=log:1..40 loss.beta=1..10"),
        "objectives": ("robust",), "sampler": "random",
    }  # fmt: skip
    return studies.Settings(workdir, config, **{**given, "trials": trials, **changed})
