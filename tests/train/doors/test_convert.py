"""Weights from files of torch's ecosystem, through the real command."""

import sys

import jax
import numpy as np
import pytest
import safetensors.numpy

from ikl_jax import models
from tests.support.references.torch_reference import state_dict
from tests.support.torch_files import save
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


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"00000000{}")
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(UserError, match="needs safetensors.*pip install safetensors"):
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


@pytest.mark.parametrize(
    "key", [None, "model", "state_dict", "model_state_dict", "net"]
)
def test_torch_files(tmp_path, arrays, key):
    path = tmp_path / "weights.pth"
    parallel = {f"module.{name}": array for name, array in arrays.items()}
    parallel["module.bn1.num_batches_tracked"] = np.asarray(7)
    content = {"epoch": 240, "best": np.asarray(0.7), key: parallel}
    save(content if key else parallel, path)
    code, output = convert_file(path)
    assert code == 0
    check(output, arrays)


def test_what_was_taken_and_left_out_is_printed(tmp_path, arrays, capsys):
    path = tmp_path / "weights.pth"
    mean = np.asarray(NORMALIZE[0], np.float32).reshape(1, 3, 1, 1)
    deviation = np.asarray(NORMALIZE[1], np.float32).reshape(1, 3, 1, 1)
    beside = {"mu": mean, "sigma": deviation, "epoch": 3}
    unused = {"head.weight": mean, "head.bias": mean}
    averaged = {f"module.{name}": array + 1 for name, array in arrays.items()}
    wrapped = {f"module.{n}": a for n, a in (arrays | beside | unused).items()}
    save({"state_dict": wrapped, "model_ema": averaged, "epoch": 3}, path)
    code, output = convert_file(path)
    assert code == 0
    check(output, arrays, NORMALIZE)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:-1] == [
        f"{path}: took the weights at state_dict; --key takes others: model_ema",
        f"{path}: removed 'module.' from the beginning of the names",
        f"{path}: left out what {MODEL} has no layers for: module.head.* (2)",
        f"{path}: left out what is no tensor: module.epoch",
        f"{path}: normalises by mean 0.5071, 0.4867, 0.4408 and deviation 0.2675, 0.2565, "
        "0.2761 (from module.mu and module.sigma)",
    ]

    code, output = convert_file(path, "--key=model_ema", "--mean=0,0,0", "--std=1,1,1")
    assert code == 0
    expected = {name: array + 1 for name, array in arrays.items()}
    check(output, expected, ((0.0,) * 3, (1.0,) * 3))
    assert "took the weights at model_ema" in capsys.readouterr().out


def test_one_of_two_networks(tmp_path, arrays, capsys):
    path = tmp_path / "distiller.safetensors"
    both = {f"student.{name}": array for name, array in arrays.items()}
    both |= {f"teacher.{name}": array + 1 for name, array in arrays.items()}
    safetensors.numpy.save_file(both, path)
    assert "choose some with --prefix=teacher" in fails(capsys, path)
    code, output = convert_file(path, "--prefix=student")
    assert code == 0
    check(output, arrays)
    assert (
        "left out what cifar_resnet8 has no layers for: teacher.*"
        in capsys.readouterr().out
    )


def test_half_precisions_are_widened(tmp_path, arrays):
    path = tmp_path / "half.pt"
    half = {name: array.astype(jax.numpy.bfloat16) for name, array in arrays.items()}
    save(half, path)
    code, output = convert_file(path)
    assert code == 0
    check(output, {name: array.astype(np.float32) for name, array in half.items()})


def test_a_file_that_would_run_code(tmp_path, arrays, capsys):
    path, ran = tmp_path / "attack.pth", tmp_path / "ran"

    class Attack:
        def __reduce__(self):
            return ran.touch, ()

    save({"model": arrays, "config": Attack()}, path)
    assert "holds more than tensors" in fails(capsys, path)
    assert not ran.exists()


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
