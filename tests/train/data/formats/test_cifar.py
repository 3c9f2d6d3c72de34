"""The original archives' format, on written files: whole, changed, and hostile."""

import hashlib
import pickle

import numpy as np
import pytest

from tests.support.data import check_data_set, data_config
from train.base.errors import UserError
from train.data import sources
from train.data.formats import cifar
from train.data.splits import InMemory
from train.data.subsets import long_tail

SIZE = 20  # images a file


def write(folder, names, label_field, num_classes, monkeypatch, table):
    """Files of the real format, and their checksums in place of the originals'."""
    folder.mkdir(parents=True)
    rng, written = np.random.default_rng(0), {}
    for name in names:
        images = rng.integers(0, 256, (SIZE, 3 * 32 * 32), np.uint8)
        labels = (np.arange(SIZE) * 7 % num_classes).tolist()
        # As Python 2 wrote them: texts in bytes, protocol 2.
        batch = {b"data": images, label_field.encode(): labels, b"batch_label": name}
        content = python2_pickle(batch)
        (folder / name).write_bytes(content)
        monkeypatch.setitem(table, name, hashlib.md5(content).hexdigest())
        written[name] = images, labels
    return written


def python2_pickle(batch):
    """Bytes become Python 2's strings, which load as texts with encoding latin1."""
    content = pickle.dumps({k.decode(): v for k, v in batch.items()}, protocol=2)
    for key in batch:  # BINUNICODE to SHORT_BINSTRING
        text = key.decode()
        unicode = b"X" + len(text).to_bytes(4, "little") + key
        content = content.replace(unicode, b"U" + bytes([len(text)]) + key)
    return content


@pytest.fixture
def cifar10(tmp_path, monkeypatch):
    folder = tmp_path / "cifar-10-batches-py"
    return write(folder, list(cifar.CIFAR10), "labels", 10, monkeypatch, cifar.CIFAR10)


@pytest.mark.parametrize("below", ["", "cifar-10-batches-py"])
def test_cifar10(tmp_path, cifar10, below):
    data = sources.open_source(data_config(f"cifar10:{tmp_path / below}"))
    check_data_set(data, train=5 * SIZE, test=SIZE, shape=(32, 32, 3), classes=10)
    images, labels = cifar10["data_batch_2"]
    batch = data.train.take(np.array([SIZE + 3]))
    assert batch["label"][0] == labels[3]
    # Stored channel by channel, row by row.
    assert batch["image"][0, 4, 5, 2] == images[3, 2 * 1024 + 4 * 32 + 5]
    images, _ = cifar10["test_batch"]
    assert data.test.take(np.array([0]))["image"][0, 31, 0, 1] == images[0, 1024 + 992]


def test_cifar100(tmp_path, monkeypatch):
    write(
        tmp_path / "c",
        ["train", "test"],
        "fine_labels",
        20,
        monkeypatch,
        cifar.CIFAR100,
    )
    data = sources.open_source(data_config(f"cifar100:{tmp_path / 'c'}"))
    check_data_set(data, train=SIZE, test=SIZE, shape=(32, 32, 3), classes=20)


def write_meta(path, field, names, monkeypatch):
    content = python2_pickle({field.encode(): names, b"num_vis": 3072})
    path.write_bytes(content)
    md5 = hashlib.md5(content).hexdigest()
    monkeypatch.setitem(cifar.META, path.name, (md5, field))


def test_the_classes_names_come_from_the_archive(tmp_path, cifar10, monkeypatch):
    source = data_config(f"cifar10:{tmp_path}")
    assert sources.open_source(source).class_names is None
    path = tmp_path / "cifar-10-batches-py" / "batches.meta"
    names = [f"class {label}" for label in range(10)]
    write_meta(path, "label_names", names, monkeypatch)
    assert sources.open_source(source).class_names == tuple(names)
    path.write_bytes(path.read_bytes()[:-2] + b"!.")
    with pytest.raises(UserError, match="batches.meta' is not the original file"):
        sources.open_source(source)


def test_cifar100_has_the_names_of_its_fine_labels(tmp_path, monkeypatch):
    folder = tmp_path / "c"
    write(folder, ["train", "test"], "fine_labels", 3, monkeypatch, cifar.CIFAR100)
    write_meta(folder / "meta", "fine_label_names", ["x", "y", "z"], monkeypatch)
    data = sources.open_source(data_config(f"cifar100:{folder}"))
    assert data.class_names == ("x", "y", "z")


def test_the_checksums_of_the_names():
    """As torchvision gives them."""
    assert cifar.META == {
        "batches.meta": ("5ff9c542aee3614f3951f8cda6e48888", "label_names"),
        "meta": ("7973b15100ade9c7d40fb424638fde48", "fine_label_names"),
    }


def test_a_changed_file_is_refused(tmp_path, cifar10):
    path = tmp_path / "cifar-10-batches-py" / "data_batch_3"
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="data_batch_3' is not the original file"):
        sources.open_source(data_config(f"cifar10:{tmp_path}"))
    path.unlink()
    with pytest.raises(UserError, match="lacks data_batch_3"):
        sources.open_source(data_config(f"cifar10:{tmp_path}"))
    with pytest.raises(
        UserError, match="no folder '/nowhere'; it must be the unpacked"
    ):
        sources.open_source(data_config("cifar100:/nowhere"))


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (type(self.path).touch, (self.path,))


def test_no_code_in_a_pickle_is_run(tmp_path, cifar10, monkeypatch):
    content = pickle.dumps({"data": Hostile(tmp_path / "touched")}, protocol=2)
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(content)
    md5 = hashlib.md5(content).hexdigest()
    monkeypatch.setitem(cifar.CIFAR10, "data_batch_1", md5)
    with pytest.raises(UserError, match="a pickle that names"):
        sources.open_source(data_config(f"cifar10:{tmp_path}"))
    assert not (tmp_path / "touched").exists()


def test_a_long_tail_keeps_fewer_of_each_next_class():
    labels = np.random.default_rng(1).permutation(np.arange(4000) % 4).astype(np.int32)
    images = np.arange(4000, dtype=np.uint32).view(np.uint8).reshape(-1, 1, 1, 4)
    view = long_tail.long_tailed(InMemory(images, labels), 4, 100.0)
    found = view.labels
    assert np.bincount(found).tolist() == [1000, 215, 46, 10]
    assert long_tail.counts(50_000, 100, 100.0)[::99] == [500, 5]
    again = long_tail.long_tailed(InMemory(images, labels), 4, 100.0)
    np.testing.assert_array_equal(view.indices, again.indices)
    np.testing.assert_array_equal(labels[view.indices], found)


def test_a_long_tailed_training_part_leaves_the_test_part():
    plain = sources.open_source(data_config("digits"))
    data = sources.open_source(data_config("digits", imbalance_ratio=10.0))
    assert len(data.test) == len(plain.test)
    found = np.bincount(data.train.labels)
    assert found[0] >= 10 * found[-1] - 10 > 0
    assert sorted(found, reverse=True) == found.tolist()
