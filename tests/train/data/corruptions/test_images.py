"""Corrupted images as splits: generated, CIFAR-C's arrays, ImageNet-C's folders."""

import numpy as np
import pytest
from PIL import Image

from tests.support import folders, natural_images
from tests.support.data import data_config
from train.base.errors import UserError
from train.data import sources
from train.data.corruptions import corrupted, images
from train.data.corruptions.corrupted import COMMON, CORRUPTIONS
from train.data.corruptions.generated import Corrupted
from train.data.splits import DataSet, InMemory

ONE = [1]


def data_set(count=6, channels=3, side=32):
    pixels = natural_images.crops(32, 24)[:count, :side, :side, :channels]
    split = InMemory(pixels, np.arange(count, dtype=np.int32) % 3)
    return DataSet(split, split, 3, pixels.shape[1:])


def opened(source, data, names=("fog",), severities=ONE, **changed):
    config = data_config("npz:x", **changed)
    return images.opened(source, data, config, names, severities, 3)


def test_generated_images_are_those_of_corrupt_in_any_chunks(monkeypatch):
    data = data_set()
    expected = corrupted.corrupt(data.test.images, np.arange(6), "snow", 2, seed=3)
    for threads in (1, 2, 4):
        found = opened("generated", data, threads=threads).split("snow", 2)
        np.testing.assert_array_equal(found.take(np.arange(6))["image"], expected)
    monkeypatch.setattr("train.data.corruptions.generated.VALUES", 1)
    rows = np.array([4, 1, 1])
    batch = found.take(rows)
    np.testing.assert_array_equal(batch["image"], expected[rows])
    np.testing.assert_array_equal(batch["label"], [1, 1, 1])
    np.testing.assert_array_equal(found.labels, data.test.labels)
    assert len(found) == 6
    assert isinstance(found, Corrupted)


@pytest.mark.parametrize("source", ["generate", "generated:x", "cifar_c", "npz:x", ""])
def test_other_sources_are_refused(source):
    with pytest.raises(
        UserError, match=r"must be generated, cifar_c:DIR or folder:DIR"
    ):
        opened(source, data_set())


def test_corruptions_are_named():
    assert images.named("common") == [*COMMON]
    assert images.named("all") == [*CORRUPTIONS]
    assert images.named("fog, snow,fog") == ["fog", "snow"]
    with pytest.raises(
        UserError, match="unknown corruption 'fogg'; did you mean .*fog"
    ):
        images.named("snow,fogg")
    with pytest.raises(UserError, match="--corruptions=all stands alone"):
        images.named("fog,all")


def test_what_does_not_fit_is_left_out_of_all_and_refused_by_name():
    data = data_set(channels=1)
    generated = opened("generated", data)
    names, notes = images.possible(images.named("all"), "all", generated, data)
    assert {*CORRUPTIONS} - {*names} == {"saturate"}
    (note,) = notes
    assert note.startswith("saturate is left out: the corruption saturate changes col")
    with pytest.raises(UserError, match="saturate changes colours alone"):
        images.possible(["fog", "saturate"], "fog,saturate", generated, data)
    small = data_set(side=7)
    with pytest.raises(UserError, match="needs images of 8 x 8 pixels or more"):
        images.possible([*COMMON], "common", opened("generated", small), small)


@pytest.fixture
def cifar_c(tmp_path):
    """Two corruptions of six images, laid out as the published files."""
    data, folder = data_set(), tmp_path / "CIFAR-10-C"
    folder.mkdir()
    for seed, name in enumerate(("fog", "snow")):
        rng = np.random.default_rng(seed)
        np.save(folder / name, rng.integers(0, 256, (30, 32, 32, 3), np.uint8))
    np.save(folder / "labels", np.tile(data.test.labels, 5).astype(np.uint8))
    return folder


def test_cifar_c_has_five_severities_in_a_row(cifar_c):
    data = data_set()
    for given in (cifar_c, cifar_c.parent):
        found = opened(f"cifar_c:{given}", data)
        split = found.split("snow", 3)
        expected = np.load(cifar_c / "snow.npy")[12:18]
        rows = np.array([5, 0])
        np.testing.assert_array_equal(split.take(rows)["image"], expected[rows])
        np.testing.assert_array_equal(split.labels, data.test.labels)
    before = found.identity
    assert before.startswith("cifar_c of 6 (")
    content = np.load(cifar_c / "fog.npy")
    content[0, 0, 0, 0] ^= 1
    np.save(cifar_c / "fog", content)
    assert opened(f"cifar_c:{cifar_c}", data).identity != before


def test_cifar_c_lacks_what_is_not_there(cifar_c):
    data = data_set()
    found = opened(f"cifar_c:{cifar_c}", data)
    for names, asked in (([*COMMON], "common"), (["frost"], "frost")):
        with pytest.raises(UserError, match=r"CIFAR-10-C' lacks .*\.npy"):
            images.possible(names, asked, found, data)
    assert images.possible(["fog"], "fog", found, data) == (["fog"], [])
    for name in COMMON:
        np.save(cifar_c / name, np.load(cifar_c / "fog.npy"))
    names, notes = images.possible([*CORRUPTIONS], "all", found, data)
    assert (len(names), len(notes)) == (15, 4)
    assert "saturate is left out: cifar_c: " in notes[-1]


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("labels", np.zeros(30, np.uint8), "labels of other images"),
        ("labels", np.zeros(25, np.uint8), "5 at each severity, where 6 are evaluated"),
        ("labels", np.zeros((30, 1), np.uint8), r"must hold N, got uint8 \(30, 1\)"),
        ("fog", np.zeros((30, 32, 32, 3)), "must hold uint8 30 x 32 x 32 x 3, got flo"),
        ("fog", np.zeros((6, 32, 32, 3), np.uint8), r"got uint8 \(6, 32, 32, 3\)"),
        ("fog", np.array(["x", None]), "cannot be read: "),
    ],
)
def test_damaged_arrays_of_cifar_c_are_named(cifar_c, name, array, message):
    np.save(cifar_c / name, array)
    with pytest.raises(UserError, match=f"{name}.npy.*{message}"):
        opened(f"cifar_c:{cifar_c}", data_set()).split("fog", 1)


def test_cifar_c_must_be_there(tmp_path):
    with pytest.raises(UserError, match="cifar_c: there is no folder"):
        opened(f"cifar_c:{tmp_path / 'no'}", data_set())
    with pytest.raises(UserError, match=r"lacks labels\.npy"):
        opened(f"cifar_c:{tmp_path}", data_set())


@pytest.fixture
def imagenet_c(tmp_path):
    """Images of three classes, and two severities of fog, of 32 pixels each."""
    folders.write(tmp_path / "imagenet", train=1, test=2)
    data = folders.opened(tmp_path / "imagenet")
    root = tmp_path / "imagenet_c"
    for severity in (1, 2):
        batch = data.test.take(np.arange(6))["image"]
        foggy = corrupted.corrupt(batch, np.arange(6), "fog", severity)
        for row, file in enumerate(data.test.records.files):
            path = root / "weather" / "fog" / str(severity) / file
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(foggy[row]).save(path.with_suffix(".png"))
    return data, root


def of_folder(data, root, severities=ONE):
    config = data_config("folder:x", **folders.SMALL)
    return images.opened(f"folder:{root}", data, config, ["fog"], severities, 0)


def test_folders_of_imagenet_c_are_read_as_they_are(imagenet_c):
    data, root = imagenet_c
    for given in (root, root / "weather"):
        found = of_folder(data, given, [1, 2])
        split = found.split("fog", 2)
        rows = np.array([4, 1])
        foggy = corrupted.corrupt(data.test.take(rows)["image"], rows, "fog", 2)
        np.testing.assert_array_equal(split.take(rows)["image"], foggy)  # not cut
        np.testing.assert_array_equal(split.labels, data.test.labels)
        assert found.missing("snow").endswith("has no folder 'snow'")
    before = found.identity
    (root / "weather" / "fog" / "1" / folders.CLASSES[0]).rename(root / "gone")
    with pytest.raises(UserError, match="holds 4 images, which are not those of the 6"):
        of_folder(data, root)
    assert of_folder(data, root, [2]).identity != before


def test_folders_of_other_images_are_refused(imagenet_c):
    data, root = imagenet_c
    with pytest.raises(UserError, match="fog' has no folder '3'"):
        of_folder(data, root, [3])
    file = next((root / "weather" / "fog" / "1" / folders.CLASSES[0]).iterdir())
    file.rename(file.with_name("another.png"))
    with pytest.raises(UserError, match="another.png' where .*_0.JPEG' is evaluated"):
        of_folder(data, root)
    unnamed = sources.open_source(data_config("digits"))
    with pytest.raises(UserError, match="needs data whose classes have names"):
        of_folder(unnamed, root)
