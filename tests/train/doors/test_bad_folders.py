"""Runs that cannot begin or go on, and what is left in their folders."""

import json
import math

import numpy as np
import pytest
from rich.console import Console

from configs import base, digits_ikl_at, fashion_mnist_at
from train import cli
from train.base.errors import UserError
from train.experiment import checkpoint, settings, validation
from train.training import loop

DIGITS = "configs/digits_ikl_at.py:quick"


def test_a_folder_that_is_not_a_run(tmp_path, capsys):
    (tmp_path / ".config.json.tmp").write_text('{"na')  # left by a kill; not the reason
    (tmp_path / "thesis.tex").write_text("mine")
    assert cli.main(["train", f"--config={DIGITS}", f"--workdir={tmp_path}"]) == 1
    error = capsys.readouterr().err
    assert "--workdir must be a folder of its own" in error
    assert "which holds thesis.tex" in error
    (tmp_path / "thesis.tex").unlink()
    settings.claim(tmp_path, base.get_config())
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_evaluating_what_is_not_there(tmp_path, capsys):
    from train import evaluate

    assert evaluate.main(["evaluate", f"--workdir={tmp_path}"]) == 1
    assert "holds no run" in capsys.readouterr().err
    (tmp_path / "config.json").write_text(
        settings.to_json(digits_ikl_at.get_config("quick"))
    )
    assert evaluate.main(["evaluate", f"--workdir={tmp_path}"]) == 1
    assert "holds no checkpoint yet" in capsys.readouterr().err


@pytest.mark.long
def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(tmp_path):
    config = digits_ikl_at.get_config("quick")
    config.epochs = 4
    config.optimizer.schedule = "step"
    config.optimizer.decay_factor = 1e35  # after half of the epochs
    config.optimizer.milestones = (0.5,)
    with pytest.raises(UserError, match="a metric is not finite .* Look at"):
        loop.train(config, tmp_path / "run", Console(quiet=True))
    assert not (tmp_path / "run" / "result.json").exists()
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    values = [value for line in lines for value in json.loads(line).values()]
    assert all(math.isfinite(value) for value in values)
    saved = checkpoint.Checkpoints(tmp_path / "run" / "checkpoints", keep=2)
    assert saved.steps()
    saved.close()


@pytest.mark.long
def test_a_last_step_that_ruins_the_weights_is_not_saved(tmp_path):
    config = digits_ikl_at.get_config("natural,quick")
    config.epochs = 1
    config.batch_size = 1432  # one step
    config.optimizer.learning_rate = 1e30
    config.optimizer.schedule = "constant"
    with pytest.raises(UserError, match="logits are not finite at step 1"):
        loop.train(config, tmp_path / "run", Console(quiet=True))
    assert not (tmp_path / "run" / "result.json").exists()
    saved = checkpoint.Checkpoints(tmp_path / "run" / "checkpoints", keep=2)
    assert not saved.steps()
    saved.close()


@pytest.mark.parametrize("content", ["", "{", "[1, 2"])
def test_a_cut_config_of_an_earlier_run(tmp_path, content, capsys):
    (tmp_path / "config.json").write_text(content)
    assert cli.main(["train", f"--config={DIGITS}", f"--workdir={tmp_path}"]) == 1
    assert "config.json cannot be read" in capsys.readouterr().err


def test_a_config_with_a_field_that_no_config_can_have(tmp_path):
    (tmp_path / "config.json").write_text('{"name": "x", "epsilo.": 3}')
    with pytest.raises(UserError, match=r"config\.json cannot be read as the config"):
        settings.load(tmp_path)


def test_a_file_in_the_place_of_the_workdir(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    workdir = tmp_path / "file" / "run"
    assert cli.main(["train", f"--config={DIGITS}", f"--workdir={workdir}"]) == 1
    error = capsys.readouterr().err
    assert f"cannot write {workdir}" in error
    assert error.count("\n") == 1


def test_images_that_the_model_cannot_take(tmp_path, capsys):
    path = tmp_path / "tiny.npz"
    images, labels = np.zeros((64, 3, 3), np.uint8), np.arange(64) % 4
    np.savez(path, x_train=images, y_train=labels, x_test=images, y_test=labels)
    arguments = [f"--config={DIGITS}", f"--config.data.source=npz:{path}"]
    assert cli.main(["train", *arguments, f"--workdir={tmp_path / 'run'}"]) == 1
    assert "cnn needs images of 4 x 4 or more, got (3, 3)" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_what_changes_no_result_may_change_between_starts(tmp_path):
    config = digits_ikl_at.get_config("quick")
    settings.claim(tmp_path / "run", config)
    config.accumulate, config.model.remat = 2, True
    config.data.undecodable = "skip"
    config.data.source, config.data.synthetic = "npz:elsewhere.npz", "moved"
    settings.claim(tmp_path / "run", config)
    config.model.dtype = "bfloat16"
    with pytest.raises(UserError, match=r"model\.dtype is 'float32' there"):
        settings.claim(tmp_path / "run", config)
    config.model.dtype, config.data.synthetic_ratio = "float32", 0.5
    with pytest.raises(UserError, match=r"data\.synthetic_ratio is 0.7 there"):
        settings.claim(tmp_path / "run", config)


def test_configs_know_their_arguments():
    assert fashion_mnist_at.get_config("loss=kl,strength=3").loss.strength == 3.0
    assert fashion_mnist_at.get_config("validation").data.evaluate_on == "validation"
    with pytest.raises(ValueError, match="loss must be one of kl, dkl, ikl, gkl"):
        fashion_mnist_at.get_config("loss=mse")
    validation.validate(base.get_config())
    for argument in ("", "natural", "quick", "natural,quick"):
        validation.validate(digits_ikl_at.get_config(argument))


def test_a_cut_last_line_of_metrics_is_forgotten(tmp_path):
    from train.training.writers import MetricsWriter

    path = tmp_path / "metrics.jsonl"
    path.write_text(
        '{"step": 1, "loss": 2.0}\n{"step": 2, "loss": 1.0}\n{"step": 3, "lo'
    )
    writer = MetricsWriter(tmp_path, 1)
    writer.write(2, {"loss": np.float32(1.5).item()})
    writer.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines == [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.5}]
