"""Weights that are converted without their classifier, and what can use them."""

import numpy as np
import pytest

from configs import digits_distill
from ikl_jax import models
from tests.support.references.torch_reference import state_dict
from tests.train.doors.test_convert_other_sizes import VIT, convert_arrays
from train.base.errors import UserError
from train.experiment import run as runs
from train.networks import converted
from train.teachers.teacher import Teacher

FLAG = "--without_classifier"


def of_form(form):
    """A state dict whose classifier is a layer, a perceptron or not there."""
    arrays = state_dict(VIT)
    if form == "layer":
        return arrays
    del arrays["head.weight"], arrays["head.bias"]
    if form == "perceptron":
        for name, shape in (("0.weight", (5, 128)), ("2.bias", (9,))):
            arrays[f"head.{name}"] = np.ones(shape, np.float32)
    return arrays


@pytest.mark.parametrize("form", ["layer", "perceptron", "none"])
def test_all_but_the_classifier_is_kept(tmp_path, capsys, form):
    """Whatever prefix the names have."""
    arrays = {f"module.{name}": array for name, array in of_form(form).items()}
    code, output = convert_arrays(tmp_path, arrays, VIT, FLAG)
    said = capsys.readouterr().out
    assert code == 0
    assert ("left out the classifier: head.* (2)" in said) == (form != "none")
    assert f"{VIT} with no classes" in said
    saved = converted.read_any(output)
    assert (saved.num_classes, saved.channels, saved.image_side) == (0, 3, 24)
    expected = models.from_torch(VIT, state_dict(VIT))["params"]
    del expected["classifier"]
    assert saved.variables["params"].keys() == expected.keys()
    np.testing.assert_array_equal(
        saved.variables["params"]["block1"]["mlp"]["fc1"]["kernel"],
        expected["block1"]["mlp"]["fc1"]["kernel"],
    )


def test_a_missing_layer_of_another_kind_is_refused(tmp_path, capsys):
    arrays = of_form("none")
    del arrays["norm.bias"]
    code, output = convert_arrays(tmp_path, arrays, VIT, FLAG)
    assert code == 1
    assert not output.exists()
    assert "missing: norm.bias" in capsys.readouterr().err


def test_names_of_classes_are_refused(tmp_path, capsys):
    code, _ = convert_arrays(
        tmp_path, of_form("layer"), VIT, FLAG, "--class_names=x.txt"
    )
    assert code == 1
    assert "--class_names is for a classifier" in capsys.readouterr().err


def test_neither_a_teacher_nor_an_evaluation_can_use_them(tmp_path):
    code, output = convert_arrays(tmp_path, of_form("none"), VIT, FLAG)
    assert code == 0
    config = digits_distill.get_config("quick")
    config.teacher.path = str(output)
    message = r"out.npz has no classifier .*model.initial_weights"
    with pytest.raises(UserError, match=message):
        Teacher.of(runs.build(config))
    with pytest.raises(UserError, match=message):
        converted.read(output)
