"""Weights that are evaluated on data of other sizes than they were trained on."""

import re

import jax
import numpy as np
import pytest
from sklearn.datasets import load_digits

from tests.support.evaluations import evaluations, judge
from train.experiment import run as runs
from train.networks import converted


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Digits of 0 to 4 alone; and images of another size, and of three channels."""
    folder = tmp_path_factory.mktemp("sources")
    digits, labels = load_digits(return_X_y=True)
    images = (digits * 15).astype(np.uint8).reshape(-1, 8, 8)
    few = labels < 5
    changed = {
        "few": (images[few][:64], labels[few][:64]),
        "large": (np.pad(images[:64], ((0, 0), (2, 2), (2, 2))), labels[:64]),
        "rgb": (np.stack([images[:64]] * 3, -1), labels[:64]),
    }
    for name, (x, y) in changed.items():
        np.savez(folder / f"{name}.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    return {name: f"npz:{folder / name}.npz" for name in changed}


@pytest.fixture
def file(workdir, tmp_path):
    """The run's weights as a file of train.convert."""
    opened = runs.reopen(workdir)
    weights = runs.newest_state(opened, workdir, print).evaluated
    path = tmp_path / "weights.npz"
    variables = jax.device_get(weights.variables)
    converted.write(path, converted.Converted("cnn", 10, None, variables))
    return path


OTHER_SIZE = (
    r"checkpoint 44 in .* is of another size of images, .*: \S+ has the shape "
    r"\(\d+.*\) there and \(\d+.*\) here; npz:.*{name}.npz has images \({shape}\) of "
)


@pytest.mark.parametrize(
    ("name", "shape"), [("large", "12, 12, 1"), ("rgb", "8, 8, 3"), ("few", "8, 8, 1")]
)
def test_a_checkpoint_of_other_sizes_is_not_called_damaged(
    workdir, sources, capsys, name, shape
):
    source = f"--config.data.source={sources[name]}"
    assert judge(f"--workdir={workdir}", source, "--restarts=0") == 1
    error = capsys.readouterr().err
    assert re.search(OTHER_SIZE.format(name=name, shape=shape), error)
    assert "damaged" not in error
    assert error.count("\n") == 1


def test_weights_for_images_of_another_size(file, sources, capsys):
    for name, shape in (("large", "(12, 12, 1)"), ("rgb", "(8, 8, 3)")):
        given = (f"--weights={file}", f"--source={sources[name]}", "--restarts=0")
        assert judge(*given) == 1
        error = capsys.readouterr().err
        assert "weights for images of another size or number of channels than" in error
        assert error.endswith(f"{name}.npz, which are {shape}\n")


def test_weights_of_more_classes_than_the_data_show(workdir, file, sources, capsys):
    source = sources["few"]
    given = (f"--weights={file}", f"--source={source}", "--restarts=0")
    assert judge(*given) == 1
    error = capsys.readouterr().err
    assert "weights.npz has 10 classes, npz:" in error
    assert (
        "has 5; if it has no examples of the others, set data.num_classes=10" in error
    )
    stated = "--config.data.num_classes=10"
    assert judge(*given, stated) == 0
    run = (f"--workdir={workdir}", f"--config.data.source={source}", "--restarts=0")
    assert judge(*run, stated) == 0
    (first,) = evaluations(file.with_suffix("")).values()
    (second,) = evaluations(workdir).values()
    assert first["evaluated_classes"] == 5
    assert first["natural_accuracy"] == second["natural_accuracy"] > 0.5
    assert judge(*run, "--config.data.num_classes=12") == 1
    assert "of 12 classes (data.num_classes states" in capsys.readouterr().err
