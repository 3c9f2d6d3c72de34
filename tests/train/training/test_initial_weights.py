"""Runs that begin with given weights: of a file, of a run, with another classifier."""

import dataclasses
import os
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from configs import digits_ikl_at
from ikl_jax import models
from tests.support.commands import outcome, result_of, started_together
from tests.support.recipes import other_weights
from train import cli
from train.base.errors import UserError
from train.devices.preemption import Preempted, Watch
from train.experiment import run as runs
from train.networks import converted
from train.training import initial, loop

DRAWN = "is drawn at random"


def config(path, **changed):
    whole = digits_ikl_at.get_config("natural,quick")
    whole.model.name = "cnn"
    whole.model.initial_weights = str(path)
    whole.evaluation.restarts = 0
    whole.update_from_flattened_dict(changed)
    return whole


def begun(whole, **data):
    """The beginning of a run on data with other attributes, and what is said of it."""
    run = runs.build(whole)
    run = dataclasses.replace(run, data=dataclasses.replace(run.data, **data))
    with open(os.devnull, "w") as nowhere:
        console = Console(record=True, width=1000, file=nowhere)
        return initial.of(run, console), console.export_text()


def params_of(path):
    return converted.read_any(path).variables["params"]


def zeros(name, side):
    """Variables of a model for images of that side, with zeros everywhere."""
    images = jax.ShapeDtypeStruct((1, side, side, 1), jnp.float32)
    shapes = jax.eval_shape(models.create(name).init, jax.random.key(0), images)
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)


def assert_same(ours, theirs):
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


def test_the_state_has_the_weights_and_all_that_follows_from_them(tmp_path):
    path = other_weights(tmp_path / "w.npz")
    found, said = begun(config(path, **{"averaging.every": "step"}))
    state, drawn = found.state, runs.build(config("")).initial_state()
    assert_same(state.params, params_of(path))
    assert_same(state.averaged.params, params_of(path))
    assert_same(jax.random.key_data(state.key), jax.random.key_data(drawn.key))
    assert not np.array_equal(
        drawn.params["Conv_0"]["kernel"], state.params["Conv_0"]["kernel"]
    )
    assert said.count("\n") == 1
    assert f"(checksum {found.checksum}), with their classifier" in said
    other = other_weights(tmp_path / "other.npz", scale=1.5)
    assert begun(config(other))[0].checksum != found.checksum


NAMES = tuple("abcdefghij")
LEFT_OUT = {
    "fewer": f"their classifier is for 7 other classes, so it {DRAWN} for 10",
    "named": f"their classifier is for 10 other classes, so it {DRAWN} for 10",
    "none": f"they have no classifier, so it {DRAWN}",
}


@pytest.mark.parametrize("kind", LEFT_OUT)
def test_a_classifier_of_other_classes_is_drawn_anew(tmp_path, kind):
    path, own = tmp_path / "w.npz", {}
    if kind == "named":
        other_weights(path, class_names=NAMES)
        own = {"class_names": NAMES[::-1]}
    else:
        other_weights(path, 7)
    if kind == "none":
        whole = converted.read(path)
        params = {n: v for n, v in params_of(path).items() if n != "Dense_1"}
        bare = dataclasses.replace(whole, num_classes=0, variables={"params": params})
        converted.write(path, bare)
    found, said = begun(config(path), **own)
    drawn = runs.build(config("")).initial_state().params
    params = found.state.params
    assert_same(params["Dense_1"], drawn["Dense_1"])
    for layer in ("Conv_0", "Conv_1", "Dense_0"):
        assert_same(params[layer], params_of(path)[layer])
    assert LEFT_OUT[kind] in said


def test_a_classifier_is_padded_for_the_mesh(tmp_path):
    path = other_weights(tmp_path / "w.npz")
    whole = config(path, **{"mesh": (2, 4), "model.classes_multiple_of": 4})
    kernel = begun(whole)[0].state.params["Dense_1"]["kernel"]
    assert kernel.shape[1] == 12
    np.testing.assert_array_equal(kernel[:, :10], params_of(path)["Dense_1"]["kernel"])


@pytest.mark.long
def test_another_normalisation_is_said(tmp_path):
    name, path = "wide_resnet_10_1", tmp_path / "w.npz"
    variables = zeros(name, 8)
    converted.write(path, converted.Converted(name, 10, ((0.5,), (0.25,)), variables))
    whole = config(path, **{"model.name": name})
    found, said = begun(whole)
    assert_same(found.state.batch_stats, variables["batch_stats"])
    assert (
        "for images normalised by [[0.5], [0.25]], and model.normalize is the" in said
    )
    whole.model.normalize = ((0.5,), (0.25,))
    assert "normalised" not in begun(whole)[1]


def refused(whole, message):
    with pytest.raises(UserError, match=message):
        begun(whole)


def test_weights_that_cannot_be(tmp_path):
    refused(
        config(tmp_path / "none"), "initial_weights: there is neither folder nor file"
    )
    refused(config(tmp_path), "holds no run")
    (tmp_path / "text.npz").write_text("none")
    refused(config(tmp_path / "text.npz"), "as weights that train.convert has written")
    damaged = other_weights(tmp_path / "nan.npz", scale=float("nan"))
    refused(config(damaged), r"nan\.npz: the weights are not finite: .*bias")
    path = other_weights(tmp_path / "w.npz")
    refused(
        config(path, **{"model.name": "wide_resnet_10_1"}),
        r"w\.npz has weights of cnn, but model.name is wide_resnet_10_1",
    )
    whole = converted.read(path)
    kernel = params_of(path)["Conv_0"].pop("kernel")
    for layer, message in (
        (
            {"kernel": kernel[:, :, :0]},
            r"params/Conv_0/kernel is .*0, .* there and .*1, ",
        ),
        ({}, "it lacks params/Conv_0/"),
        ({"gain": kernel}, "it has params/Conv_0/gain, which is not in the model"),
    ):
        params = params_of(other_weights(path))
        params["Conv_0"] = layer
        converted.write(path, dataclasses.replace(whole, variables={"params": params}))
        refused(
            config(path), rf"w\.npz does not fit cnn and images \(8, 8, 1\): {message}"
        )


def test_positions_are_for_images_of_one_size(tmp_path):
    name, path = "vit_patch4_1_64", tmp_path / "w.npz"
    variables = zeros(name, 12)
    converted.write(path, converted.Converted(name, 10, None, variables))
    refused(
        config(path, **{"model.name": name}),
        r"params/pos_embed is \(1, 10, 64\) there and \(1, 5, 64\) here; .*--image_size",
    )


@pytest.mark.long
def test_a_stopped_run_goes_on_without_the_file(tmp_path, monkeypatch):
    path = other_weights(tmp_path / "w.npz")
    whole, workdir = config(path), tmp_path / "run"
    unstopped = loop.train(whole, tmp_path / "unstopped", Console(quiet=True))
    monkeypatch.setattr(Watch, "requested", lambda watch, step: step == 3)
    with pytest.raises(Preempted):
        loop.train(whole, workdir, Console(quiet=True))
    monkeypatch.setattr(Watch, "requested", lambda watch, step: False)
    path.unlink()
    whole.model.initial_weights = "other.npz"
    with pytest.raises(UserError, match="model.initial_weights is '.*w.npz' there and"):
        loop.train(whole, workdir, Console(quiet=True))
    whole.model.initial_weights = str(path)
    result = loop.train(whole, workdir, Console(quiet=True))
    for field in ("initial_weights", "weights_checksum", "natural_accuracy"):
        assert result[field] == unstopped[field]
    assert result["initial_weights"]["path"] == str(path)


@pytest.mark.long
@pytest.mark.parametrize("argument", ["quick", "natural,quick"])
def test_a_run_starts_where_another_has_ended(tmp_path, argument):
    """At a rate of zero, the second one has the first one's weights in the end."""
    given = (f"--config=configs/digits_ikl_at.py:{argument}", "--config.model.name=cnn",
             "--config.batch_size=472", "--config.evaluation.restarts=0")  # fmt: skip
    assert cli.main(["train", *given, f"--workdir={tmp_path / 'first'}"]) == 0
    more = (
        "--config.optimizer.learning_rate=0", "--config.averaging.every=none",
        f"--config.model.initial_weights={tmp_path / 'first'}",
    )  # fmt: skip
    assert cli.main(["train", *given, *more, f"--workdir={tmp_path / 'second'}"]) == 0
    first, second = (result_of(tmp_path / name) for name in ("first", "second"))
    assert second["weights_checksum"] == first["weights_checksum"]
    assert second["initial_weights"]["checksum"] == first["weights_checksum"]
    assert "initial_weights" not in first


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1.0, 1.5])
def test_two_processes_have_the_same_weights(tmp_path, scale):
    """They train on the same ones; with other ones on each, both refuse."""
    for index, factor in enumerate((1.0, scale)):
        (tmp_path / str(index)).mkdir()
        other_weights(tmp_path / str(index) / "w.npz", scale=factor)
    processes = started_together(
        "train", "--config=configs/digits_ikl_at.py:natural,quick",
        f"--workdir={tmp_path / 'run'}", "--config.model.name=cnn",
        "--config.model.initial_weights=~/w.npz", "--config.evaluation.restarts=0",
        variables=[{"HOME": str(tmp_path / str(index))} for index in range(2)],
    )  # fmt: skip
    codes, errors = outcome(processes, timeout=300)
    if scale == 1:
        assert codes == [0, 0], errors
        return
    assert codes == [1, 1], errors
    message = r"the processes have different weights of model.initial_weights: checksum"
    assert all(re.search(message, error) for error in errors), errors
