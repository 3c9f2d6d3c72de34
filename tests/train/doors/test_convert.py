"""Weights from files of torch's ecosystem, through the real command."""

import pickle
import sys

import jax
import numpy as np
import pytest
import safetensors.numpy

from ikl_jax import models
from tests.support.references.torch_reference import state_dict
from train import convert
from train.base.errors import UserError
from train.networks import converted, torch_files

MODEL = "cifar_resnet8"
NORMALIZE = ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761))


@pytest.fixture(scope="module")
def arrays():
    return state_dict(MODEL)


@pytest.fixture
def weights(tmp_path, arrays):
    """A .safetensors file, with the prefixes and counters of a parallel torch run."""
    path = tmp_path / "weights.safetensors"
    parallel = {f"module.{name}": array for name, array in arrays.items()}
    counter = {"module.bn1.num_batches_tracked": np.asarray(7)}
    safetensors.numpy.save_file(parallel | counter, path)
    return path


def convert_file(path, *flags, model=MODEL, output="teacher.npz"):
    """The exit code, and the file that it should have written."""
    output = path.parent / output
    flags = [f"--weights={path}", f"--model={model}", f"--output={output}", *flags]
    return convert.main(["convert", *flags]), output


def check(path, arrays, normalize=None):
    saved = converted.read(path)
    assert (saved.model, saved.num_classes, saved.normalize) == (MODEL, 100, normalize)
    expected = models.from_torch(MODEL, arrays)
    assert jax.tree.structure(saved.variables) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, saved.variables, expected)
    return saved


def test_safetensors(weights, arrays, capsys):
    code, output = convert_file(weights)
    assert code == 0
    check(output, arrays)
    assert f"{MODEL} with 100 classes and 83,892 parameters" in capsys.readouterr().out
    assert [path.name for path in output.parent.glob("*tmp*")] == []


def test_normalisation_is_kept(weights, arrays):
    flags = [
        f"--{n}={','.join(map(str, v))}"
        for n, v in zip(("mean", "std"), NORMALIZE, strict=True)
    ]
    code, output = convert_file(weights, *flags)
    assert code == 0
    saved = check(output, arrays, NORMALIZE)
    assert saved.create().normalize == NORMALIZE
    assert saved.create(normalize=None, bn_groups=2).normalize is None
    with pytest.raises(UserError, match="'gain'"):
        saved.create(gain=2)


def test_bfloat16_is_widened(tmp_path, arrays):
    path = tmp_path / "half.safetensors"
    half = {n: a.astype(jax.numpy.bfloat16) for n, a in arrays.items()}
    safetensors.numpy.save_file(half, path)
    code, output = convert_file(path)
    assert code == 0
    check(output, {n: a.astype(np.float32) for n, a in half.items()})


def fails(capsys, path, *flags, **options):
    """The one sentence that a conversion fails with; nothing is written."""
    code, output = convert_file(path, *flags, **options)
    assert code == 1
    assert not output.exists()
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    return error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(model="cifar_resnet20"), "missing: layer1.1.bn1.bias,"),
        (dict(model="cifar_resnet9"), "unknown model 'cifar_resnet9'; did you mean"),
        (dict(model="cnn"), "must have published torch weights, got 'cnn'"),
        (dict(output="teacher.pth"), "--output must be a .npz file in an existing folder"),
        (dict(output="none/teacher.npz"), "--output must be a .npz file in an existing folder"),
        (dict(flags=["--mean=0.5,0.5,0.5"]), "--mean and --std must be given together"),
        (dict(flags=["--mean=a", "--std=1"]), "must be numbers, got a and 1"),
        (dict(flags=["--mean=0.5", "--std=0.2"]), "each of the images' 3 channels"),
        (dict(flags=["--mean=0.5,0.5,0.5", "--std=1,0,1"]), "deviations must be > 0"),
    ],
)  # fmt: skip
def test_bad_arguments(weights, capsys, options, message):
    flags = options.pop("flags", ()) if "flags" in options else ()
    assert message in fails(capsys, weights, *flags, **options)


def test_files_that_are_none(tmp_path, weights, capsys):
    assert "must be a file" in fails(capsys, tmp_path / "none.safetensors")
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(weights.read_bytes()[:1000])
    assert "cannot be read as safetensors" in fails(capsys, broken)


def test_a_name_with_and_without_prefix(tmp_path, capsys):
    path = tmp_path / "twice.safetensors"
    bias = np.zeros(3, np.float32)
    safetensors.numpy.save_file({"fc.bias": bias, "module.fc.bias": bias}, path)
    assert "has fc.bias with and without 'module.'" in fails(capsys, path)


@pytest.mark.parametrize(
    ("suffix", "package"), [("pth", "torch"), ("safetensors", "safetensors")]
)
def test_a_missing_package_is_named(tmp_path, monkeypatch, suffix, package):
    path = tmp_path / f"weights.{suffix}"
    path.touch()
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=f"needs {package}.*pip install {package}"):
        torch_files.read(path)


def test_damaged_and_other_npz(tmp_path, weights):
    _, output = convert_file(weights)
    content = bytearray(output.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "damaged.npz").write_bytes(content)
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    (tmp_path / "empty.npz").touch()
    for name in ("damaged", "other", "empty", "none"):
        with pytest.raises(
            UserError, match=f"{name}.npz cannot be read as weights that"
        ):
            converted.read(tmp_path / f"{name}.npz")


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="torch's own files need torch")


@pytest.fixture
def tensors(torch, arrays):
    return {n: torch.from_numpy(array.copy()) for n, array in arrays.items()}


@pytest.mark.parametrize(
    "key", [None, "model", "state_dict", "model_state_dict", "net"]
)
def test_torch_files(torch, tmp_path, arrays, tensors, key):
    path = tmp_path / "weights.pth"
    parallel = {f"module.{name}": tensor for name, tensor in tensors.items()}
    parallel["module.bn1.num_batches_tracked"] = torch.tensor(7)
    content = {"epoch": 240, "best": torch.tensor(0.7), key: parallel}
    torch.save(content if key else parallel, path)
    code, output = convert_file(path)
    assert code == 0
    check(output, arrays)


def test_torchs_half_precisions_are_widened(torch, tmp_path, tensors):
    path = tmp_path / "half.pt"
    half = {name: tensor.bfloat16() for name, tensor in tensors.items()}
    torch.save(half, path)
    code, output = convert_file(path)
    assert code == 0
    check(output, {name: tensor.float().numpy() for name, tensor in half.items()})


def test_code_is_never_run(torch, tmp_path, tensors, capsys):
    ran = tmp_path / "ran"

    class Attack:
        def __reduce__(self):
            return ran.touch, ()

    def bare_pickle(content, path):
        path.write_bytes(pickle.dumps(content, protocol=2))

    for write in (torch.save, bare_pickle):
        path = tmp_path / "attack.pth"
        write({"model": tensors, "config": Attack()}, path)
        assert "holds more than tensors" in fails(capsys, path)
        assert not ran.exists()


def test_torch_files_without_weights(torch, tmp_path, tensors, capsys):
    path = tmp_path / "weights.pth"
    for content, message in (
        ({"epoch": 3}, "or have one at state_dict, model_state_dict, model, net; it has the keys epoch"),
        ([1, 2], "it has a list"),
        ({}, "it has nothing"),
        ({**tensors, "note": "x"}, "not tensors: note"),
    ):  # fmt: skip
        torch.save(content, path)
        assert message in fails(capsys, path)
    path.write_bytes(b"no checkpoint")
    assert "cannot be read as a torch checkpoint" in fails(capsys, path)


def test_class_names_are_kept_in_their_order(weights, tmp_path, capsys):
    names = tuple(f"class {i}" for i in reversed(range(100)))
    (tmp_path / "names.txt").write_text("\n".join(names) + "\n")
    flag = f"--class_names={tmp_path / 'names.txt'}"
    code, output = convert_file(weights, flag)
    assert code == 0
    assert converted.read(output).class_names == names

    (tmp_path / "names.txt").write_text("\n".join(names[:99]))
    assert convert_file(weights, flag)[0] == 1
    assert "a line for each of the 100 classes, got 99" in capsys.readouterr().err
    (tmp_path / "names.txt").write_text("\n".join([*names[:99], names[0]]))
    assert convert_file(weights, flag)[0] == 1
    assert "got 100 in" in capsys.readouterr().err
    assert convert_file(weights, "--class_names=/nowhere")[0] == 1
    assert "--class_names cannot be read" in capsys.readouterr().err
