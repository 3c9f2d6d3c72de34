"""One pass over a split: logits, labels and features of each example, exactly."""

import subprocess
import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax import models
from ikl_jax.models.registry import FAMILIES
from tests.conftest import ROOT
from tests.support.commands import environment, free_port
from train.data.splits import InMemory
from train.devices import sharding
from train.evaluation.features import with_features
from train.evaluation.outputs import OutputsPass, joined
from train.networks import classes
from train.recipes.state import Weights

SIZE = 21  # two batches of 8, and one of 5


def split():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (SIZE, 12, 12, 1), np.uint8)
    return InMemory(images, rng.integers(0, 7, SIZE).astype(np.int32))


def weights_of(model):
    variables = model.init(jax.random.key(0), jnp.zeros((1, 12, 12, 1)), train=False)
    return Weights(variables["params"], variables.get("batch_stats", {}))


def outputs(model, weights, *, limit=None, **options):
    examples, mesh = split(), sharding.create_mesh()
    assert mesh.shape["data"] == 8
    one_pass = OutputsPass(
        model, examples, mesh, num_classes=7, batch_size=8, **options
    )
    return joined(one_pass(weights, limit))


def classified(features, layer):
    kernel, bias = (np.asarray(layer[name]) for name in ("kernel", "bias"))
    return np.asarray(features) @ kernel + bias


@pytest.mark.parametrize("limit", [None, 21, 13, 8, 3, 1000])
def test_each_example_once_in_order(limit):
    model = models.create("cnn_4", 7)
    weights, examples = weights_of(model), split()
    found = outputs(model, weights, limit=limit)
    count = min(limit or SIZE, SIZE)
    np.testing.assert_array_equal(found.indices, np.arange(count))
    np.testing.assert_array_equal(found.labels, examples.labels[:count])
    expected = model.apply(weights.variables, examples.images[:count] / np.float32(255))
    np.testing.assert_allclose(found.logits, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(found.predicted, found.logits.argmax(axis=1))
    assert found.features is None


def test_padded_classes_are_cut_off():
    model = classes.PaddedClasses(models.create("cnn_4", 16), 7)
    weights = weights_of(model)
    found = outputs(model, weights, features=True)
    assert found.logits.shape == (SIZE, 7)
    expected = classified(found.features, weights.params["Dense_1"])
    np.testing.assert_allclose(found.logits, expected[:, :7], rtol=1e-5, atol=1e-5)


def test_a_model_in_bfloat16_has_outputs_in_float32():
    model = models.create("cnn_4", 7, dtype=jnp.bfloat16)
    found = outputs(model, weights_of(model), features=True)
    assert found.logits.dtype == found.features.dtype == np.float32


def test_features_through_a_model_that_gathers_its_parameters():
    model = models.create("cnn_4", 7)
    weights, mesh = weights_of(model), sharding.create_mesh()
    gathered = sharding.GatheredModel(model, mesh, model.classifier_layer)
    ours = outputs(gathered, weights, features=True)
    expected = outputs(model, weights, features=True)
    np.testing.assert_allclose(ours.features, expected.features, rtol=1e-5, atol=1e-6)


def architectures():
    """A name of each class of the registry's models."""
    names = [family.examples[0] for family in FAMILIES]
    by_class = {type(models.create(name, 13)): name for name in reversed(names)}
    return sorted(by_class.values())


@pytest.mark.parametrize("name", architectures())
def test_features_are_what_the_classifier_takes(name):
    model = models.create(name, 13, **({} if name == "cnn" else {"remat": True}))
    images = jax.ShapeDtypeStruct((2, 32, 32, 3), jnp.float32)

    def call(x):
        with_logits = lambda: model.init_with_output(jax.random.key(0), x)
        logits, features = with_features(lambda: with_logits()[0])
        return logits, features, with_logits()[1]["params"]

    if name in ("cnn", "cifar_resnet8"):
        x = jax.random.uniform(jax.random.key(1), images.shape)
        logits, features, params = jax.jit(call)(x)
        layer = params.get("classifier", params.get("Dense_1"))
        expected = classified(features, layer)
        np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)
    else:
        logits, features, params = jax.eval_shape(call, images)
        layer = params["classifier"]
    assert logits.shape == (2, 13)
    assert features.shape == (2, layer["kernel"].shape[0])


def test_a_model_without_a_classifier_has_no_features():
    class Pooled(nn.Module):
        @nn.compact
        def __call__(self, x, *, train=False):
            return jnp.mean(nn.Dense(5)(x), axis=(1, 2))[:, :3]

    model = Pooled()
    images = jnp.zeros((2, 4, 4, 1))
    variables = model.init(jax.random.key(0), images)
    with pytest.raises(ValueError, match=r"needs an nn.Dense of 3 outputs"):
        with_features(lambda: model.apply(variables, images))


PROGRAM = """
import sys
import numpy as np
from train.devices import processes
port, process, path = sys.argv[1:]
processes.start(coordinator=f"127.0.0.1:{port}", num_processes=2, process_id=int(process))
from tests.train.evaluation import test_outputs
from ikl_jax import models
model = models.create("cnn_4", 7)
found = test_outputs.outputs(model, test_outputs.weights_of(model), features=True)
np.savez(path, **found._asdict())
"""


@pytest.mark.slow
def test_two_processes_have_the_outputs_of_one(tmp_path):
    """Each process has all of them, though it read half of each batch."""
    port = str(free_port())
    paths = [tmp_path / f"{process}.npz" for process in range(2)]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, port, str(process), str(path)],
            cwd=ROOT, env=environment(devices=4), stderr=subprocess.PIPE, text=True,
        )
        for process, path in enumerate(paths)
    ]  # fmt: skip
    errors = [process.communicate(timeout=200)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0], errors
    model = models.create("cnn_4", 7)
    expected = outputs(model, weights_of(model), features=True)
    for path in paths:
        found = np.load(path)
        np.testing.assert_array_equal(found["indices"], expected.indices)
        np.testing.assert_array_equal(found["labels"], expected.labels)
        for name in ("logits", "features"):
            np.testing.assert_allclose(
                found[name], expected._asdict()[name], rtol=1e-5, atol=1e-6
            )
