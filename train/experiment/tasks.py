"""A sequence of tasks as configs: the whole one, and that of each task's run."""

import copy
import os

from train import recipes
from train.base.config import Config
from train.base.errors import UserError
from train.base.files import Path
from train.data.subsets import class_splits


def is_sequence(config: Config) -> bool:
    """Whether a config asks for all tasks, one after another."""
    continual = config.continual
    return class_splits.are_asked_for(continual) and not continual.task


def folder(workdir: Path, task: int) -> Path:
    """The workdir of a task's run, within that of the sequence."""
    return workdir / f"task_{task}"


def of_task(config: Config, task: int, workdir: Path) -> Config:
    """The config of one task's run.

    The first task has no teacher: its recipe is `supervised`. The others start from
    the weights of the task before, whose model is the teacher of a recipe that has one.

    Args:
      config: of the sequence.
      task: from 1.
      workdir: of the sequence.

    Raises:
      UserError: the config names a teacher itself.
    """
    if path := config.teacher.path:
        raise UserError(
            "teacher.path is the model of the task before, which the command sets in "
            f"each task: it must be empty for a sequence of tasks, got {path!r}"
        )
    config = copy.deepcopy(config)
    config.continual.task = task
    if task == 1:
        config.recipe = recipes.SUPERVISED.name
        return config
    previous = os.fspath(folder(workdir, task - 1))
    config.model.initial_weights = previous
    recipe = recipes.RECIPES.get(config.recipe)
    if recipe is not None and recipe.needs_teacher:
        config.teacher.path = previous
    return config
