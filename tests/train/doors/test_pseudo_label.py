"""Robust self-training through the command line, and what it refuses."""

import json

import numpy as np
import pytest

from tests.conftest import write_idx
from tests.support import parts
from tests.support.commands import metrics_of, result_of
from tests.support.shared import made_once
from train import cli, pseudo_label
from train.data.formats.shards import open_shards

CONFIG = "configs/fashion_mnist_self_training.py"
LABELS = 16  # of 96 training images


def given(argument, data, workdir):
    return ["train", f"--config={CONFIG}:{argument}", f"--workdir={workdir}",
            f"--config.data.source=idx:{data}"]  # fmt: skip


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Generated data of Fashion-MNIST's format, and a teacher of 16 labels."""

    def make(folder):
        (folder / "data").mkdir(parents=True)
        write_idx(folder / "data")
        argument = f"teacher,labels={LABELS},quick"
        assert cli.main(given(argument, folder / "data", folder / "teacher")) == 0

    return made_once(tmp_path_factory, "self_training", make)


def label(teacher, output, *flags):
    return pseudo_label.main(
        ["pseudo_label", f"--workdir={teacher}", f"--output={output}", *flags]
    )


@pytest.mark.long
def test_from_a_teacher_to_a_student(folder, tmp_path, capsys):
    part = tmp_path / "pseudo.npz"
    assert label(folder / "teacher", part) == 0
    said = capsys.readouterr().out
    assert "80 of 80 images" in said
    assert f"--parts={part} --output={tmp_path / 'pseudo'} --num_classes=4" in said
    with np.load(part) as stored:
        labels, images = stored["label"], stored["image"]
        about = json.loads(str(stored["about"]))
    assert (images.shape, labels.shape) == ((80, 12, 12, 1), (80,))
    assert str(folder) not in json.dumps(about)
    assert (
        about["weights_checksum"] == result_of(folder / "teacher")["weights_checksum"]
    )
    assert parts.convert(part, tmp_path / "pseudo", num_classes=4) == 0
    found = open_shards(str(tmp_path / "pseudo")).take(np.arange(80))
    np.testing.assert_array_equal(found["label"], labels)
    arguments = given(f"labels={LABELS},quick", folder / "data", tmp_path / "student")
    arguments += [f"--config.data.synthetic={tmp_path / 'pseudo'}"]
    assert cli.main(arguments) == 0
    result = result_of(tmp_path / "student")
    assert result["synthetic"] == {"images": 80, "ratio": 0.5}
    assert result["robust_accuracy"]
    lines = [line for line in metrics_of(tmp_path / "student") if "loss" in line]
    assert len(lines) == 4


@pytest.mark.long
def test_labels_that_a_source_has_are_not_used(folder, tmp_path):
    """With other ones the file is the same, to the last byte."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (60, 12, 12, 1), np.uint8)
    written = []
    for seed in (1, 2):
        y = np.random.default_rng(seed).permutation(np.arange(60) % 4)
        source, output = tmp_path / "s.npz", tmp_path / f"{seed}.npz"
        np.savez(source, x_train=x, y_train=y, x_test=x, y_test=y)
        assert label(folder / "teacher", output, f"--source=npz:{source}") == 0
        with np.load(output) as stored:
            written.append({name: stored[name].tobytes() for name in stored.files})
    assert written[0] == written[1]


@pytest.mark.long
def test_what_is_refused(folder, tmp_path, capsys):
    np.save(tmp_path / "x.npy", np.zeros((3, 12, 12, 1), np.uint8))
    (tmp_path / "there.npz").touch()
    output, teacher = tmp_path / "out.npz", folder / "teacher"
    for flags, message in (
        (("--threshold=1",), "--threshold must lie in [0, 1), got 1"),
        (("--threshold=-0.1",), "--threshold must lie in [0, 1), got -0.1"),
        (("--images=x.npy", "--source=digits"), "cannot be given together"),
        ((f"--images={tmp_path / 'none.npy'}",), "none.npy cannot be read"),
        (("--source=digits",), "but the network was trained on images (12, 12, 1)"),
        (("--source=nothing",), "unknown data.source 'nothing'"),
        (("--weights=averaged",), "this run keeps no averaged weights"),
        (("--threshold=0.99999",), "no image has a class of probability 0.99999"),
    ):  # fmt: skip
        assert label(teacher, output, *flags) == 1, flags
        assert message in capsys.readouterr().err
        assert not output.exists()
    for name, message in (
        ("there.npz", "there is"), ("out.txt", "must be a .npz file"),
        ("none/out.npz", "in an existing folder"),
    ):  # fmt: skip
        assert label(teacher, tmp_path / name) == 1
        assert message in capsys.readouterr().err
    assert label(tmp_path, output) == 1
    assert "holds no run" in capsys.readouterr().err
    path = tmp_path / "labelled"
    path.mkdir()
    whole = json.loads((teacher / "config.json").read_text())
    whole["data"]["num_labels"] = 0
    (path / "config.json").write_text(json.dumps(whole))
    (path / "checkpoints").symlink_to(teacher / "checkpoints")
    assert label(path, output) == 1
    assert "all training examples of the run" in capsys.readouterr().err


@pytest.mark.long
def test_a_student_of_other_classes_is_refused(folder, tmp_path, capsys):
    part = tmp_path / "pseudo.npz"
    assert label(folder / "teacher", part) == 0
    assert parts.convert(part, tmp_path / "pseudo", num_classes=5) == 0
    arguments = given(f"labels={LABELS},quick", folder / "data", tmp_path / "student")
    arguments += [f"--config.data.synthetic={tmp_path / 'pseudo'}"]
    assert cli.main(arguments) == 1
    assert "images (12, 12, 1) of 5 classes, but those of" in capsys.readouterr().err
