"""The commands that make the runs and their evaluations again."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from train.reports.page.html import Content, Html, element, name, section
from train.reports.page.reading import Record
from train.reports.page.runs import Run

# Maps the name of a config to its path and argument, and its fields by dotted names.
Defaults = Callable[[str], tuple[str, Mapping[str, Any]]]

# Fields of a record that are flags of `train.evaluate`, by the kind of evaluation.
FLAGS = {
    "pgd": ("norm", "epsilon", "steps", "restarts", "relative_step_size", "seed"),
    "autoattack": ("version", "norm", "epsilon", "seed"),
}
# Those that are flags with --measure, where the record of a measure has them.
OF_MEASURES = (
    "norm", "epsilon", "steps", "restarts", "relative_step_size", "seed", "bins",
    "resamples", "ood", "shrinkage", "fit_examples", "map_examples", "corruptions",
    "severities",
)  # fmt: skip
# What published images are told by in a record, and what their flag begins with.
PUBLISHED = ("cifar_c", "folder")
ALEXNET = "AlexNet"
NOT_FLAGS = ("name",)
WIDTH = 84


def draw(runs: Sequence[Run], defaults: Defaults) -> Html:
    """The section."""
    parts: list[Content] = []
    for run in runs:
        lines = _of_run(run, defaults)
        if len(runs) > 1:
            parts.append(element("h3", name(run.name)))
        if run.folder.directory:
            text = ["In the folder ", element("code", name(run.folder.directory)), ":"]
            parts.append(element("p", *text, class_="hint"))
        parts.append(element("pre", element("code", "\n".join(lines), dir="ltr")))
    again = " ".join(
        ["python -m train.report", *(_quoted(run.folder.path) for run in runs)]
    )
    parts.append(element("h3", "This page"))
    parts.append(element("pre", element("code", again, dir="ltr")))
    return section(
        "commands", "Commands to repeat", *parts,
        lead="Run from a checkout. A finished run is not made twice: name another "
        "--workdir to train again. A word in capitals stands for a path that records "
        "do not hold.",
    )  # fmt: skip


def _of_run(run: Run, defaults: Defaults) -> list[str]:
    lines = []
    if run.folder.config:
        lines.append(training(run, defaults))
    workdir = _quoted(run.folder.path)
    source = run.folder.config.get("data.source")
    lines += [
        _evaluation(each, workdir, source) for each in run.folder.records.values()
    ]
    return list(dict.fromkeys(lines))


def training(run: Run, defaults: Defaults) -> str:
    """The config file, and every field that has another value than there."""
    config = run.folder.config
    path, fields = defaults(str(config.get("name", "")))
    changed = {
        field: value
        for field, value in config.items()
        if field not in NOT_FLAGS and field in fields and value != fields[field]
    }
    parts = [f"python -m train --config={_quoted(path)}"]
    parts.append(f"--workdir={_quoted(run.folder.path)}")
    parts += [f"--config.{field}={_value(value)}" for field, value in changed.items()]
    return _filled(parts)


def _evaluation(record: Record, workdir: str, source: object) -> str:
    """The flags that differ from the defaults of the run's config, or may do so."""
    parts = ["python -m train.evaluate", f"--workdir={workdir}"]
    if isinstance(file := record.get("weights_file"), str):
        parts += [
            f"--weights={_quoted(file)}",
            f"--source={_quoted(record['dataset'])}",
        ]
    else:
        parts.append(f"--weights={_quoted(record['weights'])}")
        if record["dataset"] != source:
            parts.append(f"--config.data.source={_quoted(record['dataset'])}")
    parts += _kind(record)
    if record.get("part_examples") not in (None, record["num_examples"]):
        parts.append(f"--num_examples={record['num_examples']}")
    return _filled(parts)


def _kind(record: Record) -> list[str]:
    """Which evaluation made a record, and with which arguments."""
    attack = str(record.get("attack"))
    if "measure" in record:
        chosen, fields = f"--measure={_quoted(record['measure'])}", OF_MEASURES
    elif attack in FLAGS:
        chosen, fields = f"--attack={attack}", FLAGS[attack]
    else:
        return ["--restarts=0"] if attack == "none" else []
    given = {field: record[field] for field in fields if field in record}
    if "distance_examples" in record:
        given["distances"] = record["distance_examples"]
    given |= _of_corruptions(record)
    flags = [f"--{field}={_argument(value)}" for field, value in given.items()]
    return [chosen, *flags]


def _of_corruptions(record: Record) -> dict[str, str]:
    """Whose paths a record does not hold: of published images, and of a baseline."""
    found = {}
    images, _, _ = str(record.get("corrupted_images", "")).partition(" ")
    if images in PUBLISHED:
        found["corrupted_images"] = f"{images}:FOLDER"
    if isinstance(baseline := record.get("baseline"), dict):
        is_alexnet = baseline.get("name") == ALEXNET
        found["baseline"] = ALEXNET.lower() if is_alexnet else "RUN_OR_FILE"
    return found


def _argument(value: Any) -> str:
    """The value of a flag: a list has commas between."""
    return _quoted(",".join(map(str, value)) if isinstance(value, list) else value)


def _value(value: Any) -> str:
    if isinstance(value, list):
        inside = ", ".join(repr(entry) for entry in value)
        return _quoted(f"({inside}{',' if len(value) == 1 else ''})")
    return _quoted(value)


def _quoted(value: object) -> str:
    return shlex.quote(str(value))


def _filled(parts: Sequence[str]) -> str:
    """A command on lines of at most `WIDTH` characters, where its parts allow it."""
    lines = [parts[0]]
    for part in parts[1:]:
        if len(lines[-1]) + len(part) < WIDTH:
            lines[-1] += f" {part}"
        else:
            lines.append(f"    {part}")
    return " \\\n".join(lines)
