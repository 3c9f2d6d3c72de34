"""The semi-supervised configs: every method with every consistency is one that runs."""

import pytest

from configs import digits_ssl, fashion_mnist_ssl, semi_supervised
from tests.conftest import write_idx
from tests.support.commands import metrics_of
from train import cli
from train.experiment import validation


@pytest.mark.parametrize("module", [digits_ssl, fashion_mnist_ssl])
def test_every_method_and_consistency(module):
    for method in ("fixmatch", "mean_teacher"):
        for loss in semi_supervised.LOSSES:
            config = module.get_config(f"{loss},{method}")
            validation.validate(config)
            assert (config.recipe, config.loss.name) == (method, loss)
            assert config.name.endswith(f":{method},{loss}")
    config = module.get_config("supervised")
    validation.validate(config)
    assert config.recipe == "supervised"
    assert config.data.num_labels > 0


def test_published_strengths_of_ikl():
    """The authors' files have alpha 1, beta 0.1 and 0.02, 0.03, with the names swapped.

    Their loss is beta * squared error + alpha * soft cross-entropy.
    """
    for method, strengths in (("fixmatch", (0.1, 1)), ("mean_teacher", (0.03, 0.02))):
        loss = fashion_mnist_ssl.get_config(f"{method},ikl").loss
        assert (loss.alpha, loss.beta) == strengths


def test_options():
    config = fashion_mnist_ssl.get_config("labels=40,mean_teacher,validation")
    assert (config.data.num_labels, config.recipe) == (40, "mean_teacher")
    assert config.data.validation_size == 5000
    named = fashion_mnist_ssl.get_config("method=mean_teacher,labels=40,validation")
    assert named == config
    for argument, message in (
        ("supervised,ikl", "supervised takes no consistency"),
        ("ikl,kl", "takes one loss"), ("labels=x", "labels must be a number"),
        ("ikl2", "unknown config argument 'ikl2'"),
        ("loss=ikl2", "unknown config argument 'loss=ikl2'; known: method fixmatch"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            fashion_mnist_ssl.get_config(argument)


@pytest.mark.long
@pytest.mark.parametrize("argument", ["fixmatch,ikl", "mean_teacher,mse", "supervised"])
def test_quick_runs(tmp_path, argument):
    name = f"configs/digits_ssl.py:{argument},quick"
    given = [f"--config={name}", f"--workdir={tmp_path}", "--config.model.name=cnn"]
    assert cli.main(["train", *given]) == 0
    lines = [line for line in metrics_of(tmp_path) if "loss" in line]
    assert len(lines) == 4
    measured = {"mask", "pseudo_label_accuracy", "consistency"}
    assert measured <= {*lines[-1]} or argument == "supervised"


@pytest.mark.long
def test_quick_runs_of_fashion_mnists_format(tmp_path):
    write_idx(tmp_path)
    name = "configs/fashion_mnist_ssl.py:fixmatch,gkl,labels=40,quick"
    given = [f"--config={name}", f"--workdir={tmp_path / 'run'}"]
    given += [f"--config.data.source=idx:{tmp_path}"]
    assert cli.main(["train", *given]) == 0
    lines = [line for line in metrics_of(tmp_path / "run") if "loss" in line]
    assert len(lines) == 4
