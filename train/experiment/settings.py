"""The config of a run: reads, writes and compares it, also between processes."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from ml_collections import ConfigDict

from train.base import config as sections
from train.base import contents, files
from train.base.config import Config
from train.base.errors import UserError
from train.base.files import Path
from train.data.sources import SOURCES
from train.data.subsets import class_splits
from train.devices import processes

# Fields whose values may change when a run resumes; a name with a dot at the end means
# all fields of a section. A path may change; the fingerprint of the data behind it may
# not.
MAY_CHANGE = (
    "epochs", "mesh", "fsdp", "accumulate", "model.remat", "log_every",
    "checkpoint_every", "keep_checkpoints", "data.threads", "data.data_dir",
    "data.source", "data.synthetic", "data.undecodable", "data.label_list",
    "teacher.path", "teacher.cache", "evaluation.",
)  # fmt: skip
# Fields on which no result of a run depends: how it is computed, and what it is called.
WITHOUT_EFFECT = (
    "name", "mesh", "fsdp", "accumulate", "model.remat", "log_every",
    "checkpoint_every", "keep_checkpoints", "data.threads", "teacher.cache",
)  # fmt: skip
# Fields whose values may be different when a run is evaluated.
OF_EVALUATION = (
    "mesh", "data.threads", "data.data_dir", "data.source", "data.num_classes",
    "model.dtype", "evaluation.batch_size", "evaluation.shots", "evaluation.steps",
    "evaluation.restarts", "evaluation.relative_step_size",
)  # fmt: skip

# The entry of config.json with the directory that the config's relative paths are
# relative to: the current one of the command that trained last.
DIRECTORY = "relative_to"
# Besides data.source, in a run's config.
PATHS = ("data.data_dir", "data.train_list", "data.label_list")
LOCK = ".train.lock"  # the file of a workdir's lock, while a process trains there

# Fields that runs of earlier versions lack, with the value that does what those did.
ADDED = {
    "steps_per_epoch": 0, "data.num_classes": 0, "data.exif_rotation": False,
    "model.drop_path": -1.0, "model.initial_weights": "",
    "optimizer.name": "sgd", "optimizer.b1": -1.0, "optimizer.b2": -1.0,
    "optimizer.eps": -1.0, "optimizer.clip_norm": 0.0, "optimizer.layer_decay": 1.0,
    "data.num_labels": 0, "data.label_seed": 0, "data.label_list": "",
    "data.unlabelled": "all", "data.crop_fill": "black", "unlabelled.ratio": 7,
    "unlabelled.strong_view": "uniform_rand_augment", "unlabelled.operations": 2,
    "unlabelled.magnitude": 9, "unlabelled.cutout": 0.5, "unlabelled.threshold": 0.95,
    "unlabelled.target_temperature": 1.0, "unlabelled.warmup": 0.0,
    "unlabelled.gradient": "strong", "unlabelled.passes": "joint",
    "unlabelled.teacher_batch_norm": "running",
    "continual.classes_per_task": 0, "continual.order_seed": 0, "continual.splits": [],
    "continual.cross_entropy": "seen", "continual.memory": 0,
    "continual.memory_seed": 0, "continual.memory_share": 0.5,
    "continual.task": 0,
}  # fmt: skip


def is_among(field: str, names: Iterable[str]) -> bool:
    """Whether `names` has the field, or its whole section."""
    section = field.partition(".")[0] + "."
    return field in names or section in names


def get(config: Config, field: str) -> Any:
    """The value of a dotted field; `UserError` if there is none."""
    value: Any = config
    for part in field.split("."):
        if not isinstance(value, ConfigDict) or part not in value:
            raise UserError(f"the config lacks {field}, which configs/base.py has")
        value = value[part]
    return value


def to_json(config: Config) -> str:
    return files.to_json(json.loads(config.to_json()))


def load(workdir: Path) -> Config:
    """The config of an earlier run, as it was given."""
    path = workdir / "config.json"
    with files.reading(path):
        there = path.is_file()
    if not there:
        raise UserError(f"{workdir} holds no run: there is no {path.name} in it")
    with files.reading(path, " as the config of a run"):
        return cast(Config, ConfigDict(_read(workdir)))


def located(config: Config, workdir: Path) -> Config:
    """The config of an earlier run, to be used in another directory.

    The relative paths of its data become absolute where the run was trained in another
    directory than the current one, unless that one is gone.
    """
    directory = files.read_json(workdir / "config.json").get(DIRECTORY, "")
    if not isinstance(directory, str) or directory in ("", os.getcwd()):
        return config
    if not os.path.isdir(directory):
        return config
    for field in PATHS:
        path = get(config, field)
        config.update_from_flattened_dict({field: files.against(path, directory)})
    name, _, argument = config.data.source.partition(":")
    if name in SOURCES and SOURCES[name].argument in ("FILE", "DIR"):
        config.data.source = f"{name}:{files.against(argument, directory)}"
    return config


def _read(workdir: Path) -> dict[str, Any]:
    """What a run's config.json holds, with the fields that were added later."""
    path = workdir / "config.json"
    config = contents.check_object(path, files.read_json(path), name=str)
    config.pop(DIRECTORY, None)
    dotted = (name for name in sections.names() if "." in name)
    for section in dict.fromkeys(name.partition(".")[0] for name in dotted):
        if section in config:
            contents.check_object(f"{path}: {section}", config[section])
    for field, value in ADDED.items():
        section, _, name = field.rpartition(".")
        fields = config.setdefault(section, {}) if section else config
        fields.setdefault(name, value)
    return config


def prepared(workdir: Path) -> bool:
    """Creates a workdir that is not there; returns whether it holds a run.

    Raises:
      UserError: the workdir cannot be created, or holds files of no run.
    """
    path = workdir / "config.json"
    with files.written(workdir):
        begun = path.exists()
    if not begun:
        ours = [files.unfinished_name(path.name), LOCK]
        files.claim(workdir, "--workdir", ours)
    return begun


def claim(workdir: Path, config: Config) -> None:
    """Writes config.json into a new workdir, or checks the one that is there.

    Fields in `MAY_CHANGE` may have other values there; `record` writes the new ones. In
    a sequence of tasks the epochs may not.

    Raises:
      UserError: the workdir holds another config's run, or files of no run.
    """
    if not prepared(workdir):
        record(workdir, config)
        return
    changed = differences(_read(workdir), json.loads(config.to_json()))
    may_change: set[str] = set(MAY_CHANGE)
    if class_splits.are_asked_for(config.continual):
        may_change.remove("epochs")  # later tasks have begun from the earlier ones' end
    if config.continual.task:
        may_change.add("model.initial_weights")  # the sequence may have been moved
    fixed = [
        f"{field} is {before!r} there and {now!r} here"
        for field, (before, now) in changed.items()
        if not is_among(field, may_change)
    ]
    if fixed:
        raise UserError(
            f"{workdir} holds another config's run: {'; '.join(fixed)}. "
            "Use another --workdir, or delete this one"
        )


def record(workdir: Path, config: Config) -> None:
    """Writes the config with which the run of a claimed workdir resumes."""
    content = {**json.loads(config.to_json()), DIRECTORY: os.getcwd()}
    files.write_whole(workdir / "config.json", files.to_json(content))


def changed(workdir: Path, config: Config, prefix: str) -> bool:
    """Whether a field that begins with `prefix` differs from the workdir's config."""
    fields = differences(_read(workdir), json.loads(config.to_json()))
    return any(field.startswith(prefix) for field in fields)


def differences(
    before: dict[str, Any], now: dict[str, Any]
) -> dict[str, tuple[Any, Any]]:
    """The dotted fields that differ between two configs, with both values."""
    old, new = dict(flat(before)), dict(flat(now))
    return {
        field: (old.get(field), new.get(field))
        for field in sorted(old.keys() | new.keys())
        if not _same(old.get(field), new.get(field))
    }


def _same(before: Any, now: Any) -> bool:
    """Whether two values are equal, or both NaN."""
    return before == now or (before != before and now != now)


def agree(config: Config) -> None:
    """Raises `UserError` unless every process has the first one's config."""
    mine = config.to_json()
    theirs = processes.broadcast(mine)
    changed = differences(json.loads(theirs), json.loads(mine))
    if not processes.everywhere(not changed):
        shown = "; ".join(
            f"{field} is {first!r} on process 0 and {here!r} here"
            for field, (first, here) in changed.items()
        )
        raise UserError(f"the processes have different configs: {shown or 'see there'}")


def flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The dotted names of all fields of a config's JSON, with their values."""
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
