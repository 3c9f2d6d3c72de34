"""What a search leaves and prints at its end."""

import pathlib
from typing import TYPE_CHECKING, Any

from rich.console import Console

from train.reports import sensitivity
from train.search import config_file, found
from train.search.studies import Settings

if TYPE_CHECKING:
    import optuna

PICTURE, BEST = "sensitivity.png", "best.py"


def write(study: "optuna.Study", wanted: Settings, console: Console) -> None:
    """Writes the table, the picture and the best configs; prints the table.

    Args:
      study: that has enough trials.
      wanted: what the user asked for.
      console: for the user.
    """
    shown = found.of(study, wanted)
    found.write(shown, wanted.workdir)
    sensitivity.save(wanted.workdir / PICTURE, shown)
    console.print(found.table(shown))
    for path in _best(shown, study.user_attrs["config"], wanted):
        console.print(f"next: python -m train --config={path} --workdir=runs/best")


def _best(
    shown: dict[str, Any], fields: dict[str, Any], wanted: Settings
) -> list[pathlib.Path]:
    """Writes the config of each trial of the front; returns the files."""
    trials = {each["folder"]: each for each in shown["trials"]}
    paths = []
    for folder in shown["best"]:
        trial = trials[folder]
        name = BEST if len(wanted.objectives) == 1 else f"best_{folder}.py"
        reached = " and ".join(
            f"{name} accuracy {100 * trial[name]:.1f} %" for name in wanted.objectives
        )
        paths.append(wanted.workdir / name)
        config_file.write(
            paths[-1], f"Trial {folder} of a search: {reached} on the validation part.",
            fields, trial["values"],
        )  # fmt: skip
    return paths
