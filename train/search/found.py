"""What a study has found, as plain data: in `study.json` and as a table in Markdown."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from train.base import files
from train.search import studies, trials
from train.search.importance import importances
from train.search.space import texts
from train.search.studies import Settings

if TYPE_CHECKING:
    import optuna

FILE, TABLE = "study.json", "table.md"
STATES = {
    "COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "failed",
    "RUNNING": "running", "WAITING": "waiting",
}  # fmt: skip
DIVERGED = "diverged"  # pruned, as Optuna has it, by a loss that was not finite


def of(study: "optuna.Study", wanted: Settings) -> dict[str, Any]:
    """What there is to know of a study.

    Returns:
      A dict of JSON values:
      - `objectives`, `space`: as they were given;
      - `trials`: a dict for each, see `_trial`;
      - `best`: the folders of the best trial, or of all on the Pareto front;
      - `importance`: for each objective `{field: [mean, deviation]}`; see
        `train.search.importance`.
    """
    found = [_trial(trial, wanted) for trial in studies.finished(study)]
    ended = [each for each in found if each["state"] == "finished"]
    return {
        "config": wanted.config.name,
        "objectives": list(wanted.objectives),
        "space": texts(wanted.space),
        "sampler": wanted.sampler,
        "pruner": wanted.pruner,
        "seed": wanted.seed,
        "best": front(ended, wanted.objectives),
        "importance": {
            name: {
                field: list(share)
                for field, share in importances(
                    wanted.space,
                    [each["values"] for each in ended],
                    [each[name] for each in ended],
                ).items()
            }
            for name in wanted.objectives
        },
        "trials": found,
    }


def front(ended: Sequence[Mapping[str, Any]], objectives: Sequence[str]) -> list[str]:
    """The folders of trials than which none is better in one objective and not worse in
    another; the best of the first objective first. Of equal trials, the first alone.
    """
    points = [tuple(each[name] for name in objectives) for each in ended]
    kept = [
        (point, each["folder"])
        for number, (point, each) in enumerate(zip(points, ended, strict=True))
        if point not in points[:number]
        and not any(_dominates(other, point) for other in points)
    ]
    ordered = sorted(kept, key=lambda item: item[0], reverse=True)
    return [folder for _, folder in ordered]


def _dominates(point: Sequence[float], other: Sequence[float]) -> bool:
    return point != other and all(a >= b for a, b in zip(point, other, strict=True))


def _trial(trial: Any, wanted: Settings) -> dict[str, Any]:
    """A trial: its folder, its values, how it has ended and what it has reached.

    `natural` and `robust` are accuracies after the last epoch, of a pruned trial the
    objective after `epoch`, the last one that was evaluated.
    """
    attributes, state = trial.user_attrs, STATES[trial.state.name]
    found: dict[str, Any] = {
        "folder": trials.folder_of(pathlib.Path(), trial).name,
        "state": state,
        "values": dict(trial.params),
        "epoch": wanted.config.epochs if state == "finished" else trial.last_step,
    }
    for name in (*trials.OBJECTIVES, "seconds", "error"):
        if name in attributes:
            found[name] = attributes[name]
    if state == "pruned" and "error" in found:
        found["state"] = DIVERGED
    elif state == "pruned" and trial.last_step is not None:
        found[wanted.objectives[0]] = trial.intermediate_values[trial.last_step]
    return found


def ordered(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The trials: first those of the front, then the finished, then the others."""
    states, best = [*STATES.values(), DIVERGED], found["best"]
    first = found["objectives"][0]

    def key(each: Mapping[str, Any]) -> tuple[Any, ...]:
        chosen = each["state"] == "finished" and each["folder"] in best
        return not chosen, states.index(each["state"]), -each.get(first, 0.0)

    return sorted(found["trials"], key=key)


def table(found: Mapping[str, Any]) -> str:
    """The trials in Markdown, the best first, and the importance of each field."""
    fields = list(found["space"])
    shown = [name for name in trials.OBJECTIVES if _reached(found, name)]
    lines = [
        "| " + " | ".join(["trial", *fields, *shown, "epoch", "state"]) + " |",
        "|" + "---|" * (len(fields) + len(shown) + 3),
    ]
    for each in ordered(found):
        cells = [each["folder"] + (" *" if each["folder"] in found["best"] else "")]
        cells += [_number(each["values"].get(field)) for field in fields]
        cells += [f"{100 * each[n]:.1f} %" if n in each else "" for n in shown]
        cells += [str(each["epoch"] or ""), each["state"]]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *_importance(found)]) + "\n"


def _reached(found: Mapping[str, Any], name: str) -> bool:
    return any(name in each for each in found["trials"])


def _number(value: Any) -> str:
    return (
        f"{value:.4g}" if type(value) is float else "" if value is None else str(value)
    )


def _importance(found: Mapping[str, Any]) -> list[str]:
    """The importances as a table, or a sentence that there are none."""
    known = {name: shares for name, shares in found["importance"].items() if shares}
    if not known:
        return ["Importances need eight finished trials that are not all alike."]
    names = list(known)
    lines = [
        "| field | " + " | ".join(f"importance for {name}" for name in names) + " |",
        "|" + "---|" * (len(names) + 1),
    ]
    for field in known[names[0]]:
        cells = [f"{100 * m:.0f} ± {100 * d:.0f} %" for m, d in
                 (known[name][field] for name in names)]  # fmt: skip
        lines.append("| " + " | ".join([field, *cells]) + " |")
    return lines


def write(found: Mapping[str, Any], workdir: pathlib.Path) -> None:
    """Writes `study.json` and `table.md` into the study's folder."""
    files.write_whole(workdir / FILE, files.to_json(found))
    files.write_whole(workdir / TABLE, table(found))
