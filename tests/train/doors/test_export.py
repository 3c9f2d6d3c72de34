"""A run's weights for others, by the real command."""

import dataclasses
import re

import jax
import ml_collections
import numpy as np
import pytest
import safetensors.numpy
from flax import traverse_util

import ikl_jax
from tests.support.commands import result_of
from train import export
from train.evaluation import target
from train.experiment import settings
from train.networks import model
from train.recipes import recipe
from train.recipes.state import Weights
from train.release import network


def run(workdir, output, *flags):
    return export.main(["export", f"--workdir={workdir}", f"--output={output}", *flags])


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((3, 8, 8, 1), np.float32)


def test_a_run_is_exported(workdir, tmp_path, images, capsys):
    """The program is read in a process of its own in tests/train/release."""
    output = tmp_path / "release"
    assert run(workdir, output, "--license=mit") == 0
    names = ["weights.safetensors", "model.jax_export", "README.md"]
    assert capsys.readouterr().out.split() == [str(output / name) for name in names]
    assert sorted(path.name for path in output.iterdir()) == sorted(names)

    evaluated = target.of_run(workdir, None, {})
    expected = np.asarray(
        jax.jit(
            lambda x: recipe.evaluate_logits(evaluated.model, evaluated.weights, x)
        )(images)
    )
    flat = safetensors.numpy.load_file(output / "weights.safetensors")
    variables = traverse_util.unflatten_dict(flat, sep="/")
    ours = ikl_jax.models.create("cnn", num_classes=10).apply(variables, images)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-4)
    content = (output / "model.jax_export").read_bytes()
    program = jax.export.deserialize(bytearray(content))
    np.testing.assert_allclose(program.call(images), expected, rtol=0, atol=1e-4)

    card = (output / "README.md").read_text()
    result = result_of(workdir)
    assert card.startswith('---\nlicense: "mit"\n')
    assert f"{100 * result['natural_accuracy']:.2f}%" in card
    for accuracy in result["robust_accuracy"].values():
        assert f"{100 * accuracy:.2f}%" in card
    assert result["weights_checksum"] in card
    assert f'"{settings.load(workdir).data.source}"' in card
    assert "Images of 8 x 8 pixels and 1 channel, each value divided by 255" in card
    assert "{" not in re.sub(r"```.*?```", "", card, flags=re.S)

    assert run(workdir, output, "--weights=last") == 0  # again, over its own files
    card = (output / "README.md").read_text()
    assert 'license: "unknown"' in card
    assert "last weights of step" in card


def test_a_folder_of_others_is_not_written_to(workdir, tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    assert run(workdir, tmp_path) == 1
    error = capsys.readouterr().err
    assert "--output must be a folder of its own" in error
    assert error.count("\n") == 1
    assert run(tmp_path / "none", tmp_path / "release") == 1
    assert "holds no run" in capsys.readouterr().err


def test_padded_classes_are_cut_off(workdir, images):
    evaluated = target.of_run(workdir, None, {})
    config = ml_collections.ConfigDict(evaluated.config.to_dict())
    config.model.classes_multiple_of = 16
    padded = model.create(config, 10)
    variables = jax.jit(padded.init)(jax.random.key(0), images)
    weights = Weights(variables["params"], variables.get("batch_stats", {}))
    wide = np.asarray(padded.apply(variables, images))
    assert wide.shape == (3, 16)
    given = dataclasses.replace(evaluated, config=config, model=padded, weights=weights)
    released = network.of_target(given)
    np.testing.assert_allclose(released.logits(images), wide[:, :10], rtol=0, atol=1e-6)
    assert config.model.classes_multiple_of == 16
