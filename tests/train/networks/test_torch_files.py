"""Files of torch, in both of its layouts, are read without torch and without running."""

import argparse
import collections
import pathlib
import pickle

import numpy as np
import pytest
import safetensors.numpy

from tests.conftest import GOLDEN
from tests.support.torch_files import Name, save
from train.base.errors import UserError
from train.networks import torch_files
from train.networks.torch_files import layouts

TORCH = GOLDEN / "torch"  # written by torch itself
LAYOUTS = pytest.mark.parametrize("older", [False, True], ids=["zip", "older"])


def weights():
    rng = np.random.default_rng(0)
    return {
        "conv.weight": rng.standard_normal((2, 3, 3, 3)).astype(np.float32),
        "conv.bias": rng.standard_normal(2).astype(np.float16),
        "bn.num_batches_tracked": np.asarray(7),
    }


def check(found, expected):
    assert found.state_dict.keys() == expected.keys()
    for name, array in expected.items():
        floating = np.issubdtype(array.dtype, np.floating)
        read = found.state_dict[name]
        assert read.dtype == (np.float32 if floating else array.dtype), name
        np.testing.assert_array_equal(read, array.astype(read.dtype), strict=True)


def expected_of_torch(*, net):
    arrays = dict(np.load(TORCH / "expected.npz"))
    if not net:
        return {n: a for n, a in arrays.items() if not n.startswith("net.")}
    return {n[4:]: a for n, a in arrays.items() if n.startswith("net.")}


@pytest.mark.parametrize("name", ["zip", "older"])
def test_what_torch_has_written(name):
    """Views, all kinds of elements, a parameter, an empty tensor, and other things."""
    found = torch_files.read(TORCH / f"{name}.pth")
    check(found, expected_of_torch(net=False))
    assert (found.key, found.others) == ("state_dict", ["model"])
    check(torch_files.read(TORCH / f"{name}.pth", "model"), expected_of_torch(net=True))


def test_a_network_that_was_saved_whole():
    check(torch_files.read(TORCH / "module.pth"), expected_of_torch(net=True))


@LAYOUTS
@pytest.mark.parametrize("order", ["little", "big"])
def test_both_layouts_in_both_byte_orders(tmp_path, older, order):
    save(weights(), tmp_path / "w.pth", older=older, order=order)
    check(torch_files.read(tmp_path / "w.pth"), weights())


def test_harmless_things_do_not_refuse_a_file(tmp_path):
    beside = {
        "epoch": 3, "lr": 0.1, "arch": "wide_resnet", "nothing": None, "done": True,
        "best": np.float64(0.5), "count": np.int64(3), "mean": np.float32(1),
        "args": argparse.Namespace(lr=0.1, path=pathlib.PurePosixPath("x"), milestones=[3]),
        "history": collections.defaultdict(list, loss=[1.0]), "seen": {1, 2},
        "config": Foreign(), "names": ("a", "b"), "order": collections.OrderedDict(a=1),
        "optimizer": {"state": {0: {"momentum": np.ones(3, np.float32)}}},
        "scheduler": {"last": np.ones(1, np.float32)},
    }  # fmt: skip
    save({**beside, "state_dict": weights()}, tmp_path / "beside.pth")
    found = torch_files.read(tmp_path / "beside.pth")
    check(found, weights())
    assert (found.key, found.others, found.not_tensors) == ("state_dict", [], [])

    save({**weights(), "epoch": 3, "note": "x"}, tmp_path / "between.pth")
    found = torch_files.read(tmp_path / "between.pth")
    check(found, weights())
    assert found.not_tensors == ["epoch", "note"]


class Foreign:
    """Of a module that the reader of the file does not have."""

    def __reduce__(self):
        return Called("project.config", "Config"), ("x",), {"lr": 0.1}


class Called(Name):
    pass


def test_code_is_never_run(tmp_path):
    ran = tmp_path / "ran"

    class Attack:
        def __init__(self, how):
            self.how = how

        def __reduce__(self):
            return {
                "method": (ran.touch, ()),
                "import": (Name("os", "mkdir"), (str(ran),)),
                "eval": (Name("builtins", "eval"), (f"open({str(ran)!r}, 'w')",)),
                "old": (Name("__builtin__", "eval"), (f"open({str(ran)!r}, 'w')",)),
            }[self.how]

    path = tmp_path / "attack.pth"
    for how in ("method", "import", "eval", "old"):
        for older in (False, True):
            save({"model": weights(), "config": Attack(how)}, path, older=older)
            with pytest.raises(UserError, match="holds more than tensors"):
                torch_files.read(path)
            assert not ran.exists()
    path.write_bytes(
        pickle.dumps({"model": [1], "config": Attack("method")}, protocol=2)
    )
    with pytest.raises(
        UserError, match=r"holds more than tensors \(builtins.getattr\)"
    ):
        torch_files.read(path)
    assert not ran.exists()


def read_or_refused(path):
    """The state dict, or None if the file is refused in one line."""
    try:
        return torch_files.read(path).state_dict
    except UserError as error:
        message = str(error)
    assert "\n" not in message
    return None


@LAYOUTS
def test_damaged_files_are_refused_in_one_sentence(tmp_path, older):
    """A zip archive has checksums; the older layout's own numbers must fit together."""
    path = tmp_path / "w.pth"
    save({"state_dict": weights(), "epoch": 3}, path, older=older)
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(content), 40):
        path.write_bytes(content[:place])
        assert read_or_refused(path) is None, place
    for place in rng.integers(0, len(content), 150):
        damaged = bytearray(content)
        damaged[place] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        found = read_or_refused(path)
        if found is not None and not older:
            for name, array in found.items():
                np.testing.assert_array_equal(
                    array, weights()[name].astype(array.dtype)
                )


def test_tensors_outside_their_storage_are_refused(tmp_path, monkeypatch):
    save(weights(), tmp_path / "w.pth")
    tensor = layouts.read_zip(tmp_path / "w.pth")["conv.weight"]
    for shape, strides, offset in (
        ((2, 3, 3, 4), (27, 9, 3, 1), 0),
        ((2, 3, 3, 3), (27, 9, 3, 1), 1),
        ((2, 3, 3, 3), (27, 9, 3, -1), 0),
        ((-2, 3), (3, 1), 0),
        ((2, 3), (3, 1), -1),
        ((2, 3), (3,), 0),
    ):
        wrong = type(tensor)(tensor.storage, offset, shape, strides)
        with pytest.raises(ValueError, match="a tensor"):
            wrong.array()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"epoch": 3}, "one at state_dict, model_state_dict, model, net; it has the keys epoch"),
        ([1, 2], "it has a list"),
        ({}, "it has nothing"),
        ({"a": weights(), "b": weights()}, "has several weights: a, b; choose some with --key=a"),
    ],
)  # fmt: skip
def test_files_without_weights_or_with_several(tmp_path, content, message):
    save(content, tmp_path / "w.pth")
    with pytest.raises(UserError, match=message):
        torch_files.read(tmp_path / "w.pth")


@pytest.mark.parametrize(
    ("content", "key", "taken", "others"),
    [
        ({"state_dict": 0, "state_dict_ema": 0}, None, "state_dict", ["state_dict_ema"]),
        ({"state_dict": 0, "state_dict_ema": 0}, "state_dict_ema", "state_dict_ema", ["state_dict"]),
        ({"online": 0, "model_ema": 0}, None, "model_ema", ["online"]),
        ({"ema_model": 0}, None, "ema_model", []),
        ({"last": 0, "best": 0}, "last", "last", ["best"]),
        ({"model": {"state_dict": 0}}, None, "model.state_dict", []),
        ({"run": {"weights": 0}, "extra": {"b": 0}}, "run", "run.weights", ["extra.b"]),
        ({"anything": 0, "optimizer": 0}, None, "anything", []),
    ],
)  # fmt: skip
def test_which_weights_are_taken(tmp_path, content, key, taken, others):
    def filled(value):
        return {k: filled(v) for k, v in value.items()} if value else weights()

    save(filled(content), tmp_path / "w.pth")
    found = torch_files.read(tmp_path / "w.pth", key)
    check(found, weights())
    assert (found.key, found.others) == (taken, others)


def test_a_key_that_is_not_there(tmp_path):
    save({"state_dict": weights(), "model_ema": weights()}, tmp_path / "w.pth")
    with pytest.raises(UserError, match="--key=ema: .* has state_dict, model_ema"):
        torch_files.read(tmp_path / "w.pth", "ema")
    safetensors.numpy.save_file(weights(), tmp_path / "w.safetensors")
    with pytest.raises(UserError, match=r"--key=ema: a .safetensors file has no keys"):
        torch_files.read(tmp_path / "w.safetensors", "ema")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html>\n<title>Quota exceeded</title>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is Git LFS's pointer"),
        (b"\x89HDF\r\n\x1a\n0000", "is an HDF5 file"),
        (b"\x1f\x8b\x08\x00rest", "is compressed with gzip"),
        (bytes(257) + b"ustar\x0000", "is a tar archive"),
        (b"no checkpoint", "cannot be read as a torch checkpoint"),
        (pickle.dumps({"a": 1}), "a pickle that torch.save has not written"),
    ],
)
def test_other_formats_are_named(tmp_path, content, message):
    path = tmp_path / "w.pth"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        torch_files.read(path)
    assert "\n" not in str(caught.value)


def test_numpys_formats_are_named(tmp_path):
    np.save(tmp_path / "w.npy", np.zeros(3))
    np.savez(tmp_path / "w.npz", **weights())
    np.savez(tmp_path / "ours.npz", description="{}", **weights())
    for name, message in (
        ("w.npy", "is an array of NumPy"),
        ("w.npz", "is arrays of NumPy"),
        ("ours.npz", "is what train.convert writes, and needs no conversion"),
    ):
        with pytest.raises(UserError, match=f"{message}.*must be a file of torch.save"):
            torch_files.read(tmp_path / name)


def test_safetensors_with_another_suffix(tmp_path):
    safetensors.numpy.save_file(weights(), tmp_path / "model.bin")
    check(torch_files.read(tmp_path / "model.bin"), weights())
