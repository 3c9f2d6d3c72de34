"""Runs on folders of images, from the command line to result.json."""

import pytest
from PIL import Image

from tests.support.commands import metrics_of, outcome, result_of, run, started, train
from tests.support.evaluations import evaluations, judge
from tests.support.folders import CLASSES, encoded, pixels, write

CONFIG = "configs/digits_ikl_at.py:natural,quick"


def arguments(root, **changed):
    fields = {
        "data.source": f"folder:{root}", "data.test_split": "val",
        "data.image_size": 32, "data.resize_shorter": 36, "data.crop_padding": 0,
        "data.random_resized_crop": True, "data.flip": True,
        "model.name": "cifar_resnet8", "batch_size": 16, "epochs": 1,
        "evaluation.steps": 1, "log_every": 1,
    }  # fmt: skip
    changed = {name.replace("__", "."): value for name, value in changed.items()}
    return [f"--config.{name}={value}" for name, value in (fields | changed).items()]


def damaged(path):
    path.write_bytes(path.read_bytes()[:200])
    return path


@pytest.fixture
def root(tmp_path):
    write(tmp_path / "images")
    return tmp_path / "images"


@pytest.mark.long
def test_a_run_that_replaces_an_undecodable_image(tmp_path, root, capsys):
    bad = damaged(root / "train" / "n02085620" / "n02085620_3.JPEG")
    turned = root / "val" / "n02085620" / "n02085620_0.JPEG"
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: to be turned by a quarter
    turned.write_bytes(encoded(pixels(0, 40, 50), exif=exif))
    workdir = tmp_path / "run"
    done = train(workdir, *arguments(root, data__undecodable="skip"), config=CONFIG)
    lines = done.stderr.splitlines()
    starts = (
        f"warning: '{bad}' cannot be decoded and is replaced",
        f"warning: '{turned}'",
    )
    for line, start in zip(sorted(lines), sorted(starts), strict=True):
        assert line.startswith(start)
    result = result_of(workdir)
    assert (result["steps"], result["num_examples"]) == (3, 12)
    assert (result["undecodable"], result["exif_rotations"]) == (1, 1)
    steps = [line for line in metrics_of(workdir) if "loss" in line]
    assert [line["step"] for line in steps] == [1, 2, 3]
    assert judge(f"--workdir={workdir}", "--restarts=0") == 0
    (record,) = evaluations(workdir).values()
    assert record["exif_rotations"] == 1
    for part in ("train", "val"):  # the other classes get other numbers
        (root / part / CLASSES[0]).rename(root / part / "n99999999")
    capsys.readouterr()
    assert judge(f"--workdir={workdir}", "--restarts=0") == 1
    message = f"class 0 is 'n01440764' in {workdir} and 'n02085620' in folder:{root}"
    assert message in capsys.readouterr().err


@pytest.mark.long
def test_an_error_in_a_thread_that_reads_is_one_sentence(tmp_path, root):
    bad = damaged(root / "train" / "n02085620" / "n02085620_3.JPEG")
    done = run(f"--config={CONFIG}", f"--workdir={tmp_path / 'run'}", *arguments(root))
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: '{bad}' cannot be decoded: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_model_is_not_evaluated_on_fewer_images(tmp_path, root):
    bad = damaged(root / "val" / "n02085620" / "n02085620_3.JPEG")
    done = run(
        f"--config={CONFIG}", f"--workdir={tmp_path / 'run'}",
        *arguments(root, data__undecodable="skip"),
    )  # fmt: skip
    assert done.returncode == 1
    assert f"error: '{bad}' cannot be decoded: " in done.stderr
    assert "scores on different images do not compare" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run" / "result.json").exists()


@pytest.mark.slow
def test_two_processes_count_what_either_has_replaced(tmp_path, root):
    """Which of them meets which image is chance; none is counted twice."""
    for number in (3, 8, 12):
        damaged(root / "train" / "n02085620" / f"n02085620_{number}.JPEG")
    processes = started(
        tmp_path / "run", "--config.recipe=supervised", "--config.awp.gamma=0.0",
        *arguments(root, data__undecodable="skip"),
    )  # fmt: skip
    codes, errors = outcome(processes, timeout=200)
    assert codes == [0, 0], errors
    assert result_of(tmp_path / "run")["undecodable"] == 3
    assert not any("error: " in error for error in errors), errors
