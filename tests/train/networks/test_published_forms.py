"""Files in the forms in which others publish networks, from drawn weights."""

import argparse
import functools

import jax
import numpy as np
import pytest
import safetensors.numpy

from ikl_jax import models
from tests.support.references.torch_reference import drawn
from tests.support.torch_files import save
from train.base.errors import UserError
from train.networks import fitting, torch_files

CIFAR = ((0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616))
CIFAR100 = ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762))


@functools.cache
def shapes(model, classes):
    network = models.create(model, classes)
    x = jax.ShapeDtypeStruct((1, 32, 32, 3), np.float32)
    variables = jax.eval_shape(network.init, jax.random.key(0), x)
    empty = jax.tree.map(lambda s: np.broadcast_to(np.float32(0), s.shape), variables)
    return {n: a.shape for n, a in models.to_torch(network, empty).items()}


def network(model, classes=10, *, counters=True):
    """A state dict of torch's."""
    found = {name: drawn(name, shape) for name, shape in shapes(model, classes).items()}
    norms = [n.removesuffix("mean") for n in found if n.endswith("running_mean")]
    steps = {f"{n.removesuffix('running_')}num_batches_tracked": 7 for n in norms}
    return found | {n: np.asarray(s) for n, s in steps.items() if counters}


def prefixed(prefix, arrays):
    return {prefix + name: array for name, array in arrays.items()}


def sub_block(arrays):
    """TRADES registers a second first block, which its network does not use."""
    unused = {
        f"sub_{n}": np.asarray(a + 1)
        for n, a in arrays.items()
        if n.startswith("block1.")
    }
    return arrays | unused


def statistics(names, values, shape=(1, 3, 1, 1)):
    arrays = (np.asarray(v, np.float32).reshape(shape) for v in values)
    return dict(zip(names, arrays, strict=True))


MU_SIGMA = statistics(("mu", "sigma"), CIFAR)
BUFFERS = statistics(("mean", "std"), CIFAR100, (3, 1, 1))
OPTIMIZER = {
    "state": {0: {"momentum_buffer": np.ones(3, np.float32)}},
    "param_groups": [{"lr": 0.1}],
}
NAMES = (
    "Carmon2019Unlabeled",
    "Chen2020Efficient",
    "Wu2020Adversarial",
    "Rice2020Overfitting",
    "Rebuffi2021Fixing",
    "Wang2023Better",
    "Engstrom2019Robustness",
    "ImageNormalizer of RobustBench",
    "TRADES",
    "AWP",
    "LBGAT",
    "mdistiller",
    "mdistiller's distiller",
    "torchvision",
    "timm",
    "Lightning and torch.compile",
    "averaged by torch.optim.swa_utils",
)


@functools.cache
def wide():
    return network("wide_resnet_10_1")


@functools.cache
def wide100():
    return network("wide_resnet_10_1", 100)


@functools.cache
def swish100():
    return network("wide_resnet_swish_10_1", 100)


@functools.cache
def small():
    return network("cifar_resnet8", 100)


@functools.cache
def forms():
    """What each file holds, and what is expected of it; a model of its own by name."""
    return {
        # RobustBench's CIFAR-10 and CIFAR-100.
        "Carmon2019Unlabeled": dict(
            content={"num_epochs": 200, "state_dict": prefixed("module.", sub_block(wide()))},
            key="state_dict", prefix="module.", left_out="module.sub_block1"),
        "Chen2020Efficient": dict(
            content=prefixed("model.", sub_block(wide()) | MU_SIGMA),
            prefix="model.", normalize=CIFAR, left_out="model.sub_block1"),
        "Wu2020Adversarial": dict(content=wide() | MU_SIGMA, normalize=CIFAR),
        "Rice2020Overfitting": dict(content=prefixed("module.", wide()), prefix="module."),
        "Rebuffi2021Fixing": dict(
            content=swish100() | BUFFERS, model="wide_resnet_swish_10_1",
            normalize=CIFAR100),
        "Wang2023Better": dict(
            content={
                "model_state_dict": prefixed("module.", statistics(("0.mean", "0.std"), CIFAR100) | prefixed("1.", swish100())),
                "unaveraged_model_state_dict": prefixed("module.", swish100()),
                "optimizer_state_dict": OPTIMIZER, "epoch": 400,
            },
            model="wide_resnet_swish_10_1", key="model_state_dict", prefix="module.1.",
            normalize=CIFAR100, others=["unaveraged_model_state_dict"]),
        "Engstrom2019Robustness": dict(
            content={
                "epoch": 1, "schedule": None, "args": argparse.Namespace(eps=0.5), "optimizer": OPTIMIZER,
                "model": prefixed("module.model.", small()) | prefixed("module.attacker.model.", small())
                | statistics(("module.normalizer.new_mean", "module.normalizer.new_std"), CIFAR, (3, 1, 1))
                | statistics(("module.attacker.normalize.new_mean", "module.attacker.normalize.new_std"), CIFAR, (3, 1, 1)),
            },
            model="cifar_resnet8", key="model", prefix="module.model.", normalize=CIFAR,
            left_out="module.attacker"),
        "ImageNormalizer of RobustBench": dict(
            content=statistics(("normalize.mean", "normalize.std"), CIFAR) | prefixed("model.", wide()),
            prefix="model.", normalize=CIFAR),
        # The lineage of the paper.
        "TRADES": dict(content=prefixed("module.", sub_block(wide())), prefix="module.", older=True, left_out="module.sub_block1"),
        "AWP": dict(
            content={"epoch": 199, "state_dict": prefixed("module.", wide()), "opt_state": OPTIMIZER, "test_robust_acc": np.float64(0.56)},
            key="state_dict", prefix="module.", older=True),
        "LBGAT": dict(content=sub_block(wide100()), older=True, left_out="sub_block1"),
        # Distillation.
        "mdistiller": dict(
            content={"model": small(), "epoch": 240, "best_acc": 70.1, "optimizer": OPTIMIZER},
            model="cifar_resnet8", key="model", older=True),
        "mdistiller's distiller": dict(
            content={"epoch": 3, "model": prefixed("module.student.", small()) | prefixed("module.teacher.", network("cifar_resnet14", 100)), "best_acc": np.float32(70)},
            model="cifar_resnet8", key="model", prefix="module.student.", left_out="module.teacher"),
        # ImageNet.
        "torchvision": dict(
            content=lambda: network("imagenet_resnet18", 1000, counters=False),
            model="imagenet_resnet18", older=True),
        "timm": dict(
            content={
                "epoch": 30, "arch": "resnet8", "metric": np.float64(79.1), "version": 2, "args": argparse.Namespace(lr=0.1, opt="sgd"),
                "state_dict": small(), "state_dict_ema": prefixed("module.", small()), "optimizer": OPTIMIZER, "amp_scaler": {"scale": 65536.0},
            },
            model="cifar_resnet8", key="state_dict", others=["state_dict_ema"]),
        "Lightning and torch.compile": dict(
            content={"epoch": 3, "pytorch-lightning_version": "2.0", "state_dict": prefixed("model._orig_mod.", small()), "hyper_parameters": {"lr": 0.1}},
            model="cifar_resnet8", key="state_dict", prefix="model._orig_mod."),
        "averaged by torch.optim.swa_utils": dict(
            content=prefixed("module.", small()) | {"n_averaged": np.asarray(9)},
            model="cifar_resnet8", prefix="module.", left_out="n_averaged"),
    }  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_published_forms(name, tmp_path):
    form = dict(forms()[name])
    content = form.pop("content")
    content = content() if callable(content) else content
    model = form.pop("model", "wide_resnet_10_1")
    save(content, tmp_path / "w.pth", older=form.pop("older", False))
    found = torch_files.read(tmp_path / "w.pth")
    fitted = fitting.fit(model, found.state_dict)

    assert found.key == form.pop("key", "")
    assert found.others == form.pop("others", [])
    assert found.not_tensors == []
    assert fitted.prefix == form.pop("prefix", "")
    assert fitted.normalize == form.pop("normalize", None)
    left_out = form.pop("left_out", None)
    assert bool(fitted.left_out) == bool(left_out)
    assert all(each.startswith(left_out) for each in fitted.left_out)
    assert not form
    classes = (
        1000 if name == "torchvision" else len(next(iter(found.state_dict.values())))
    )
    expected = shapes(model, classes)
    assert fitted.state_dict.keys() == expected.keys()
    for parameter, array in fitted.state_dict.items():
        np.testing.assert_array_equal(array, drawn(parameter, array.shape))


def test_timms_safetensors(tmp_path):
    safetensors.numpy.save_file(small(), tmp_path / "model.safetensors")
    found = torch_files.read(tmp_path / "model.safetensors")
    fitted = fitting.fit("cifar_resnet8", found.state_dict)
    assert (fitted.prefix, fitted.left_out) == ("", [])
    assert (
        fitted.state_dict.keys() == network("cifar_resnet8", 100, counters=False).keys()
    )


def test_every_form_is_tested():
    assert tuple(forms()) == NAMES


def test_a_network_with_more_layers_is_not_cut_off():
    """Its further layers stay among the weights, so that `from_torch` refuses them."""
    deeper = network("cifar_resnet14", 100)
    for prefix in ("", "module."):
        fitted = fitting.fit("cifar_resnet8", prefixed(prefix, deeper))
        with pytest.raises(ValueError, match="unexpected: layer1.1.bn1.bias"):
            models.from_torch("cifar_resnet8", fitted.state_dict)
    further = network("cifar_resnet8") | {
        "layer4.0.conv1.weight": np.zeros((1, 1, 1, 1))
    }
    with pytest.raises(ValueError, match="unexpected: layer4.0.conv1.weight"):
        models.from_torch(
            "cifar_resnet8", fitting.fit("cifar_resnet8", further).state_dict
        )


def test_two_networks_of_one_kind():
    other = {name: array + 1 for name, array in small().items()}
    both = prefixed("student.", small()) | prefixed("teacher.", other)
    with pytest.raises(
        UserError, match="'student.' and 'teacher.': choose some with --prefix=teacher"
    ):
        fitting.fit("cifar_resnet8", both)
    for prefix in ("teacher", "teacher."):
        fitted = fitting.fit("cifar_resnet8", both, prefix=prefix)
        np.testing.assert_array_equal(fitted.state_dict["fc.bias"], other["fc.bias"])
        assert {name.split(".")[0] for name in fitted.left_out} == {"student"}
    with pytest.raises(
        UserError, match=r"--prefix=pupil.: the names begin with student, teacher"
    ):
        fitting.fit("cifar_resnet8", both, prefix="pupil")


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (statistics(("mean", "std"), ((123.675, 116.28, 103.53), (58.4, 57.1, 57.4))), "is not for images in"),
        (statistics(("mean", "std"), (CIFAR[0], (0.2, 0.0, 0.2))), "is not for images in"),
        (MU_SIGMA | statistics(("a.mean", "a.std"), CIFAR100), "normalisations that differ"),
    ],
)  # fmt: skip
def test_normalisation_that_cannot_be_used(stored, message):
    with pytest.raises(UserError, match=f"{message}.*--mean and --std"):
        fitting.fit("wide_resnet_10_1", wide() | stored)
    fitted = fitting.fit("wide_resnet_10_1", wide() | stored, normalized=True)
    assert fitted.normalize is None
    assert fitted.left_out == list(stored)


def test_what_is_no_normalisation_is_left_out():
    stored = {"mean": np.zeros(3, np.float32), "std": np.ones(1, np.float32)}
    fitted = fitting.fit("wide_resnet_10_1", wide() | stored)
    assert (fitted.normalize, fitted.left_out) == (None, ["mean", "std"])
