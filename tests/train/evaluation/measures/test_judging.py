"""Measures share one pass, declare their flags, and leave records of one form."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from configs import base
from ikl_jax import models
from tests.conftest import small_images
from train.base.errors import UserError
from train.data.splits import DataSet, InMemory
from train.devices import sharding
from train.evaluation import records
from train.evaluation.batch_attack import PgdAttack
from train.evaluation.judgement import Options
from train.evaluation.measures import context, judging, registry
from train.evaluation.measures.measure import Finding, Measure, Option, Prepared
from train.evaluation.outputs import OutputsPass
from train.evaluation.pgd import Evaluator
from train.evaluation.target import Target
from train.recipes.state import Weights
from train.reports import rows

CALIBRATION = registry.MEASURES["calibration"]
CLASSES = registry.MEASURES["classes"]


@pytest.fixture(scope="module")
def network():
    """Weights as they begin, and a split of whose labels they predict three of four."""
    model = models.create("cnn_4", 4)
    variables = model.init(jax.random.key(3), jnp.zeros((1, 12, 12, 1)))
    images, _ = small_images(channels=1)
    predicted = model.apply(variables, images[:37] / np.float32(255)).argmax(axis=1)
    labels = (np.asarray(predicted) + (np.arange(37) % 4 == 0)) % 4
    weights = Weights(variables["params"], {})
    replicated = sharding.replicated(sharding.create_mesh())
    split = InMemory(images[:37], labels.astype(np.int32))
    return jax.device_put(weights, replicated), split


@pytest.fixture
def target(network, tmp_path):
    weights, split = network
    config = base.get_config()
    config.attack.epsilon = 0.02
    config.evaluation.update({"batch_size": 16, "steps": 2, "restarts": 2})
    return Target(
        config, DataSet(split, split, 4, (12, 12, 1)), models.create("cnn_4", 4),
        weights, sharding.create_mesh(), tmp_path, "last weights of step 1",
        {"model": "cnn_4", "dtype": "float32", "weights": "last", "step": 1}, "small",
    )  # fmt: skip


def judged(target, measures, options=None, **given):
    console = Console(quiet=True)
    own = judging.values(measures, given)
    options = options or Options()
    return list(judging.judge(measures, target, options, own, console))


def of_context(target, **options):
    return context.Context(
        target, Options(**options), {}, Console(quiet=True), features=False
    )


def test_two_measures_share_a_pass_and_have_a_record_each(target, monkeypatch):
    computed, of_batch = [], OutputsPass.of_batch

    def counted(self, weights, batch, x=None):
        computed.append(x is None)
        return of_batch(self, weights, batch, x)

    monkeypatch.setattr(OutputsPass, "of_batch", counted)
    first, second = judged(target, [CALIBRATION, CLASSES], Options(num_examples=20))
    assert sum(computed) == 2  # batches of 16, once for both measures
    for judgement, name in ((first, "calibration"), (second, "classes")):
        records.add(target.workdir, judgement)
        assert judgement.file_name == f"{name}-{judgement.digest}"
    stored = records.read(target.workdir)
    assert [record["measure"] for record in stored.values()] == [
        "calibration",
        "classes",
    ]
    for record in stored.values():
        assert record["robust_accuracy"] == {}
        assert record["num_examples"] == 20
        arrays = records.per_example(target.workdir, record)
        assert arrays["logits"].shape == (20, 4)
        right = arrays["predicted"] == arrays["label"]
        assert record["natural_accuracy"] == right.mean()
        assert json.loads(json.dumps(record)) == record
        rows.check("a record", record)
    (row,) = rows.rows("run", None, stored.values())  # of the same weights
    assert row.robust() == {}


def test_classes_have_the_robust_accuracy_of_the_evaluation(target):
    (judgement,) = judged(target, [CLASSES])
    predictions = Evaluator(
        target.model, target.data.test, PgdAttack.of(target.config), target.mesh,
        num_classes=4, batch_size=16, seed=0,
    )(target.weights)  # fmt: skip
    assert 0 < predictions.robust_accuracy < predictions.natural_accuracy
    np.testing.assert_array_equal(judgement.per_example["robust"], predictions.robust)
    assert judgement.arguments["restarts"] == 2
    assert judgement.results["found"]["attack_name"] == "pgd2x2"


def test_without_restarts_there_is_no_attack(target):
    found = of_context(target, restarts=0)
    assert found.adversarial is None
    assert found.attack_arguments == {"attack": "none"}
    with pytest.raises(UserError, match="--steps would have no effect"):
        _ = of_context(target, restarts=0, steps=3).attack
    # Another measure may read the seed.
    assert of_context(target, restarts=0, seed=3).attack.restarts == 0


def test_of_several_restarts_the_first_that_breaks_an_example_counts():
    labels = np.array([0, 0, 0])
    of = lambda *predicted: context.Outputs(
        np.arange(3), labels, np.eye(2)[list(predicted)], np.eye(2)[list(predicted)]
    )
    first, second = of(1, 0, 0), of(0, 1, 0)
    kept = context._kept(first, second)
    np.testing.assert_array_equal(kept.predicted, [1, 1, 0])
    np.testing.assert_array_equal(kept.features, kept.logits)


def test_logits_that_are_no_numbers_are_refused(target, monkeypatch):
    bad = jax.tree.map(lambda leaf: leaf * jnp.nan, target.weights)
    object.__setattr__(target, "weights", bad)
    with pytest.raises(UserError, match="logits of 37 of 37 examples are not finite"):
        judged(target, [CALIBRATION])


def test_a_temperature_needs_a_validation_part(target):
    with pytest.raises(UserError, match="needs a validation part, and no examples"):
        judged(target, [CALIBRATION], temperature="fit")
    (judgement,) = judged(target, [CALIBRATION])
    found = judgement.results["found"]
    assert found["temperature"] is found["after_temperature"] is None
    assert "no temperature was fitted" in found["notes"][0]
    target.config.data.update({"validation_size": 9, "evaluate_on": "validation"})
    with pytest.raises(UserError, match="the validation part is the one that is eval"):
        judged(target, [CALIBRATION], temperature="fit")


def test_a_temperature_is_fitted_on_the_validation_part(target, monkeypatch):
    images, labels = small_images(channels=1)
    held_out = InMemory(images[40:80], labels[40:80].astype(np.int32))
    opened = []

    def open_source(data_config):
        opened.append(data_config.evaluate_on)
        return DataSet(held_out, held_out, 4, (12, 12, 1))

    monkeypatch.setattr(context.sources, "open_source", open_source)
    target.config.data.validation_size = 40
    (judgement,) = judged(target, [CALIBRATION])
    assert (opened, target.config.data.evaluate_on) == (["validation"], "test")
    assert judgement.arguments["temperature_fitted_on"] == 40
    found = judgement.results["found"]
    assert found["temperature"] > 0
    other = found["after_temperature"]["negative_log_likelihood"]
    assert other != found["negative_log_likelihood"]
    (judgement,) = judged(target, [CALIBRATION], temperature="none")
    assert judgement.results["found"]["temperature"] is None
    assert judgement.arguments["temperature_fitted_on"] == 0


def test_values_have_defaults_and_are_checked():
    assert judging.values([CALIBRATION, CLASSES], {"bins": 4}) == {
        "bins": 4, "resamples": 1000, "temperature": None,
    }  # fmt: skip
    for given, message in (
        ({"bins": 0}, "bins must be > 0, got 0"),
        ({"bins": 2**40}, "--bins must be at most"),
        ({"temperature": "fitt"}, "unknown temperature 'fitt'; did you mean 'fit'"),
    ):
        with pytest.raises(UserError, match=message):
            judging.values([CALIBRATION], given)
    needed = Option("other", str, None, "Another source.", required=True)
    measure = Measure("needy", lambda _: None, (needed,))
    with pytest.raises(UserError, match="--measure=needy needs --other"):
        judging.values([measure], {})
    assert judging.values([measure], {"other": "a"}) == {"other": "a"}


def test_names_of_measures():
    assert judging.named("classes,calibration,classes") == [CLASSES, CALIBRATION]
    with pytest.raises(UserError, match="unknown measure 'clases'; did you mean"):
        judging.named("calibration,clases")


def test_two_measures_may_share_a_flag_but_not_its_name(monkeypatch):
    bins = registry.MEASURES["calibration"].options[0]
    shared = Measure("shared", lambda _: None, (bins,))
    monkeypatch.setitem(registry.MEASURES, "shared", shared)
    assert registry.options()["bins"] is bins
    other = Measure("other", lambda _: None, (bins._replace(default=3),))
    monkeypatch.setitem(registry.MEASURES, "other", other)
    with pytest.raises(ValueError, match="defines --bins in another way"):
        registry.options()


def test_all_measures_are_checked_before_the_first_begins(target):
    begun = []

    def ready(_):
        return Prepared({}, lambda _: begun.append(1) or Finding({}, {}))

    def refuse(_):
        raise UserError("it does not fit")

    with pytest.raises(UserError, match="it does not fit"):
        judged(target, [Measure("one", ready), Measure("two", refuse)])
    assert not begun
    first, second = judged(target, [Measure("one", ready), Measure("two", ready)])
    assert first.key != second.key
    assert len(begun) == 2
