"""Trains a sequence of tasks: one run after another, each in a folder of its own.

Every task's run is as any other: it has checkpoints, a log and a result, and goes on
where it was stopped. A task that has finished is not trained again. So nothing but the
folders says where a sequence stands.
"""

import contextlib
from typing import Any

from rich.console import Console

from train.base.config import Config
from train.base.errors import UserError
from train.base.files import Path
from train.data import fingerprint, mixture, pipeline, sources
from train.data.splits import DataSet
from train.data.subsets import class_splits
from train.devices import processes
from train.experiment import finished, settings, tasks, validation
from train.reports import rows, tables
from train.reports import tasks as report
from train.training import loop


def train(config: Config, workdir: Path, console: Console) -> dict:
    """Trains all tasks of `config` in `workdir`, from where the sequence stopped.

    Returns:
      The content of the sequence's `result.json`.

    Raises:
      UserError: the config or the workdir cannot be used, or a loss is not finite.
      Preempted: the run was asked to stop; the same call goes on from there.
    """
    settings.agree(config)
    with contextlib.ExitStack() as stack:
        parts, data = _checked(config, workdir)
        loop.claim(workdir, config, stack)
        processes.on_main(lambda: settings.record(workdir, config))
        results = []
        for task, split in enumerate(parts, 1):
            classes = ", ".join(_name(label, data) for label in split)
            heading = f"task {task} of {len(parts)}: classes {classes}"
            console.print(heading, highlight=False)
            results.append(_task(config, task, workdir, data, console))
            _check_start(workdir, task, results)
            found = report.line(results[-1]["accuracy_by_task"])
            console.print(
                f"after task {task}: {found}", highlight=False, soft_wrap=True
            )
        result = _result(config, parts, results)
        if processes.is_main():
            finished.write(workdir, result)
        processes.barrier("finished")
    for way in report.WAYS:
        console.print(report.matrix_table(result[report.FIELD], way))
    console.print(tables.table({str(workdir): result}))
    return result


def _checked(config: Config, workdir: Path) -> tuple[class_splits.Splits, DataSet]:
    """The labels of all tasks, and the data of all classes.

    Raises:
      UserError: one of the tasks cannot be run; nothing is written yet.
    """
    first = tasks.of_task(config, 1, workdir)
    validation.validate(first)
    data = sources.open_source(config.data)
    parts = class_splits.splits(config.continual, data.num_classes)
    for task in range(1, len(parts) + 1):
        changed = tasks.of_task(config, task, workdir)
        validation.validate(changed)
        of_task = class_splits.of_task(data, changed.continual)
        mixture.joined(of_task, config.data, config.batch_size)
        pipeline.batch_sizes(of_task.train, config.data, config.batch_size)
    return parts, data


def _name(label: int, data: DataSet) -> str:
    return str(label) if data.class_names is None else data.class_names[label]


def _task(
    config: Config, task: int, workdir: Path, data: DataSet, console: Console
) -> dict[str, Any]:
    """The result of a task's run, of now or of earlier.

    Raises:
      UserError: among others, a finished task was evaluated on other data.
    """
    changed = tasks.of_task(config, task, workdir)
    folder = tasks.folder(workdir, task)
    result = finished.read(folder, epochs=int)
    if result is None:
        return loop.finish(changed, folder, console)
    path = folder / finished.FILE
    rows.check(path, result, steps=int, seconds=float)
    report.check_row(path, result)
    test = class_splits.of_task(data, changed.continual).test
    before, now = result["data_fingerprint"], fingerprint.of_split(test)
    if before != now:
        raise UserError(
            f"the data set has changed since task {task} finished in {folder}; it was "
            f"{before}, now it is {now}"
        )
    return result


def _check_start(workdir: Path, task: int, results: list[dict[str, Any]]) -> None:
    """Raises `UserError` unless the last task began where the one before ended."""
    if task == 1:
        return
    began = results[-1].get("initial_weights", {}).get("checksum")
    if began != (ended := results[-2]["weights_checksum"]):
        raise UserError(
            f"{tasks.folder(workdir, task)} began from other weights ({began}) than "
            f"task {task - 1} ended with ({ended}): delete it, and those of later "
            "tasks, to train them again"
        )


def _result(
    config: Config, parts: class_splits.Splits, results: list[dict[str, Any]]
) -> dict[str, Any]:
    """That of the last task, with all steps and seconds, and what is of all tasks."""
    summary = report.summary([result["accuracy_by_task"] for result in results])
    return {
        **results[-1],
        "config": config.name,
        "steps": sum(result["steps"] for result in results),
        "seconds": round(sum(result["seconds"] for result in results), 2),
        report.FIELD: {
            "tasks": [list(split) for split in parts],
            "memory": config.continual.memory,
            **summary,
        },
    }
