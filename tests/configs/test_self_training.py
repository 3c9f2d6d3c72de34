"""The config of robust self-training: what its roles share, and in what they differ."""

import pytest

from configs import fashion_mnist_self_training as self_training
from train.experiment import settings, validation

ROLES = ("", "teacher", "labelled", "oracle")


def of(*options):
    config = self_training.get_config(",".join(filter(None, options)))
    config.lock()
    validation.validate(config)
    return config


@pytest.mark.parametrize("more", [(), ("quick",), ("validation", "labels=250")])
def test_the_roles_differ_in_their_examples_alone(more):
    student, teacher, labelled, oracle = (of(role, *more) for role in ROLES)
    labels = 250 if more[1:] else 1000
    for config in (student, teacher, labelled):
        assert config.data.num_labels == labels
    assert (student.data.synthetic, student.data.synthetic_ratio) == ("pseudo", 0.5)
    changed = [
        {*settings.differences(labelled.to_dict(), other.to_dict())}
        for other in (student, teacher, oracle)
    ]
    assert changed == [
        {"name", "data.synthetic", "data.synthetic_ratio"},
        {"name", "recipe", "evaluation.restarts"},
        {"name", "data.num_labels"},
    ]


def test_options():
    assert of("oracle", "labels=250").data.num_labels == 0
    assert of("loss=gkl", "strength=2").loss.name == "gkl"
    assert of("loss=gkl", "strength=2").loss.strength == 2
    assert of("teacher", "quick").name == "fashion_mnist_self_training:teacher,quick"
    for argument, message in (
        ("teacher,oracle", "a config takes one role"),
        ("labels=x", "labels must be a number"), ("pupil", "unknown config argument"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            of(argument)
