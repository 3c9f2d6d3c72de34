"""Each exported file is read back as its reader would, and gives the same logits."""

import dataclasses
import json
import subprocess
import sys

import jax
import numpy as np
import pytest
import safetensors.numpy
from flax import traverse_util

from ikl_jax import models
from tests.support.references.torch_reference import state_dict
from train.networks import fitting, torch_files
from train.release import card, program, reading, tensors
from train.release.network import Released

NORMALIZE = ((0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616))
NAMES = tuple(f"class {label}" for label in range(100))


def released(name="cifar_resnet8", **options):
    variables = jax.device_get(models.from_torch(name, state_dict(name)))
    classes = len(variables["params"]["classifier"]["bias"])
    module = models.create(name, classes, **options)
    return Released(module, variables, name, (16, 16, 3), classes, NAMES[:classes])


@pytest.fixture(scope="module")
def network():
    return released(normalize=NORMALIZE)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((3, 16, 16, 3), np.float32)


@pytest.fixture(scope="module")
def logits(network, images):
    return np.asarray(jax.jit(network.logits)(images))


def test_our_names(network, tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(tensors.ours(network))
    with safetensors.safe_open(path, "numpy") as file:
        described = file.metadata()
    assert described["model"] == "cifar_resnet8"
    assert described["num_classes"] == "100"
    assert tuple(map(tuple, json.loads(described["normalize"]))) == NORMALIZE
    assert tuple(json.loads(described["class_names"])) == NAMES
    flat = safetensors.numpy.load_file(path)
    assert "params/classifier/kernel" in flat
    variables = traverse_util.unflatten_dict(flat, sep="/")
    assert jax.tree.structure(variables) == jax.tree.structure(network.variables)
    jax.tree.map(np.testing.assert_array_equal, variables, network.variables)


@pytest.mark.parametrize(
    ("name", "options", "buffers"),
    [
        ("cifar_resnet8", {}, []),
        ("cifar_resnet8", {"normalize": NORMALIZE}, ["mu", "sigma"]),
        ("wide_resnet_swish_10_2", {}, ["mean", "std"]),
        ("vit_patch4_2_128", {}, []),
    ],
)
def test_torchs_names(tmp_path, name, options, buffers):
    """What train.convert reads from it: the same weights, normalisation and names."""
    given = released(name, **options)
    path = tmp_path / "torch.safetensors"
    path.write_bytes(tensors.of_torch(given))
    found = torch_files.read(path)
    expected = state_dict(name)
    assert found.state_dict.keys() == {*expected, *buffers}
    for parameter, array in expected.items():
        np.testing.assert_array_equal(found.state_dict[parameter], array)
    fitted = fitting.fit(name, found.state_dict)
    assert fitted.left_out == []
    assert fitted.normalize == given.normalize
    assert found.class_names == given.class_names
    # A plain module of torch must not be loaded without the normalisation by mistake.
    assert given.normalize is None or buffers


def test_an_architecture_that_torch_does_not_have():
    module = models.create("cnn", 4)
    x = np.zeros((1, 8, 8, 1), np.float32)
    shapes = jax.eval_shape(module.init, jax.random.key(0), x)
    variables = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), shapes)
    given = Released(module, dict(variables), "cnn", (8, 8, 1), 4, None)
    assert tensors.of_torch(given) is None
    assert "PyTorch" not in reading.text(given, ["weights.safetensors"])


# Without the site's packages of this one: what an editable installation adds is not on
# the path, and an import of a removed name fails.
ALONE = """
import sys
for name in ("ikl_jax", "train", "flax"):
    sys.modules[name] = None
import pathlib
import jax
import numpy as np

assert not [name for name in sys.modules if name.startswith(("ikl_jax.", "train."))]
content = pathlib.Path("model.jax_export").read_bytes()
network = jax.export.deserialize(bytearray(content))
images = np.load("images.npy")
gradient = jax.jit(jax.grad(lambda x: network.call(x)[:, 0].sum()))(images)
np.savez("found.npz", logits=jax.jit(network.call)(images), gradient=gradient)
"""


@pytest.mark.long
def test_the_program_runs_without_this_package(network, images, logits, tmp_path):
    (tmp_path / "model.jax_export").write_bytes(program.exported(network))
    np.save(tmp_path / "images.npy", images)
    done = subprocess.run(
        [sys.executable, "-P", "-c", ALONE], cwd=tmp_path, capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = np.load(tmp_path / "found.npz")
    atol = 1e-5 * np.abs(logits).max()
    np.testing.assert_allclose(found["logits"], logits, rtol=0, atol=atol)
    first = lambda x: network.logits(x)[:, 0].sum()
    gradient = np.asarray(jax.jit(jax.grad(first))(images))
    atol = 1e-4 * np.abs(gradient).max()
    np.testing.assert_allclose(found["gradient"], gradient, rtol=0, atol=atol)


def test_the_program_is_for_all_platforms_and_batch_sizes(network):
    exported = jax.export.deserialize(bytearray(program.exported(network)))
    assert exported.platforms == ("cpu", "tpu", "cuda")
    ((batch, *shape),) = (aval.shape for aval in exported.in_avals)
    assert not isinstance(batch, int)
    assert shape == [16, 16, 3]


def test_what_the_card_says_of_reading(network):
    text = reading.text(network, ["torch.safetensors"])
    create = f'ikl_jax.models.create("cifar_resnet8", num_classes=100, normalize={NORMALIZE})'
    assert create in text
    assert 'state_dict.pop("mu"), state_dict.pop("sigma")' in text
    plain = dataclasses.replace(network, module=models.create("cifar_resnet8", 100))
    assert "sigma" not in reading.text(plain, ["torch.safetensors"])


def test_a_card_names_no_place_on_our_machine():
    config = {
        "data": {"source": "folder:/home/me/pets/", "data_dir": "/data/tfds", "synthetic": "", "train_list": "~/lists/half.txt", "label_list": "/x/few.txt"},
        "model": {"name": "cnn", "initial_weights": "/home/me/vit.npz"},
        "teacher": {"path": "gs://bucket/runs/teacher", "cache": ""},
        "name": "pets",
    }  # fmt: skip
    assert card.public(config) == {
        "data": {"source": "folder:pets", "data_dir": "tfds", "synthetic": "", "train_list": "half.txt", "label_list": "few.txt"},
        "model": {"name": "cnn", "initial_weights": "vit.npz"},
        "teacher": {"path": "gs:teacher", "cache": ""},
        "name": "pets",
    }  # fmt: skip
