"""The config of continual learning: its options, and that each task is a valid run."""

import pathlib

import pytest

from configs import split_fashion_mnist
from train.experiment import tasks, validation


@pytest.mark.parametrize("loss", split_fashion_mnist.LOSSES)
def test_every_loss(loss):
    config = split_fashion_mnist.get_config(f"{loss},lwf,memory=5")
    assert config.name == f"split_fashion_mnist:lwf,{loss}:memory=5"
    assert (config.recipe, config.loss.name) == ("distillation", loss)
    assert config.continual.memory == 5
    for task in (1, 2):
        of_task = tasks.of_task(config, task, pathlib.Path("runs/split"))
        validation.validate(of_task)
        assert tasks.is_sequence(config)
        assert not tasks.is_sequence(of_task)
    assert of_task.teacher.path == of_task.model.initial_weights == "runs/split/task_1"


def test_options():
    config = split_fashion_mnist.get_config("fine_tuning,validation,task")
    assert config.continual.cross_entropy == "task"
    assert (config.recipe, config.data.evaluate_on) == ("supervised", "validation")
    assert config.data.validation_size == 5000
    assert tasks.of_task(config, 2, pathlib.Path("a")).teacher.path == ""
    for argument, message in (
        ("fine_tuning,ikl", "fine_tuning takes no loss"),
        ("ikl,kd", "takes one loss"),
        ("memory=x", "memory must be a number"),
        ("memory", "the option memory needs a value"),
        ("dkd", "unknown config argument 'dkd'"),
    ):
        with pytest.raises(ValueError, match=message):
            split_fashion_mnist.get_config(argument)
