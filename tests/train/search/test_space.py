"""The space of a search: what it may be, and what is refused before any trial."""

import json

import pytest

from configs import base
from train.base.errors import UserError
from train.search import comparable, space
from train.search.space import Choices, Range


def test_a_text_and_a_file_of_json_mean_the_same(tmp_path):
    text = "loss.alpha=log:1..40 batch_size=16..64 optimizer.learning_rate={0.05, 0.1}"
    found = space.read(text)
    assert found == {
        "loss.alpha": Range(1.0, 40.0, log=True),
        "batch_size": Range(16, 64),
        "optimizer.learning_rate": Choices((0.05, 0.1)),
    }
    assert type(found["batch_size"].low) is int
    assert type(found["loss.alpha"].low) is float
    file = tmp_path / "space.json"
    choice = [0.05, 0.1]
    content = {"loss.alpha": "log:1..40", "batch_size": "16..64"}
    file.write_text(json.dumps({**content, "optimizer.learning_rate": choice}))
    assert space.read(str(file)) == found
    assert space.of_texts(space.texts(found)) == found


def test_values_have_their_fields_types():
    found = space.read("data.flip={true,False} loss.name={kl,ikl} loss.beta=1/2..8/2")
    assert found["data.flip"] == Choices((True, False))
    assert found["loss.name"] == Choices(("kl", "ikl"))
    assert found["loss.beta"] == Range(0.5, 4.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("loss.alpa=1..2", "a config has no field loss.alpa; did you mean loss.alpha?"),
        ("loss=1..2", "a config has no field loss"),
        ("loss.alpha", "cannot read 'loss.alpha': write FIELD=LOW..HIGH"),
        ("loss.alpha=1", "cannot read '1'"),
        ("loss.alpha=1..", "cannot read '1..'"),
        ("loss.alpha=1..2 loss.alpha=2..3", "loss.alpha more than once"),
        ("loss.alpha=2..1", "2..1 is an empty range"),
        ("loss.alpha=2..2", "2..2 is an empty range"),
        ("loss.alpha=log:0..2", "must begin above 0, got log:0..2"),
        ("loss.alpha=a..b", "loss.alpha must be a finite number, got 'a'"),
        ("loss.alpha=1..nan", "loss.alpha must be a finite number, got nan"),
        ("epochs=1.5..3", "epochs must be an integer, got '1.5'"),
        ("loss.name=1..2", "loss.name is no number"),
        ("data.flip=0..1", "data.flip is no number"),
        ("data.flip={yes,no}", "data.flip must be True or False, got 'yes'"),
        ("loss.alpha={1}", "two or more different values, got {1}"),
        ("loss.alpha={1,1.0}", "two or more different values, got {1,1}"),
        ("mesh={1,2}", "mesh is a list"),
        ("none.json", "there is no file none.json"),
    ],
)  # fmt: skip
def test_what_is_no_space_is_refused(text, said):
    with pytest.raises(UserError) as error:
        space.read(text)
    assert said in str(error.value)
    assert "--space" in str(error.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [("[1]", "must hold a JSON object"), ('{"loss.alpha": 3}', "a text or a list, got 3"),
     ("{", "cannot be read")],
)  # fmt: skip
def test_a_file_that_holds_no_space_is_refused(tmp_path, content, said):
    file = tmp_path / "space.json"
    file.write_text(content)
    with pytest.raises(UserError, match=said):
        space.read(str(file))


def validated(**changed):
    config = base.get_config()
    config.update_from_flattened_dict(
        {"data.validation_size": 300, "data.evaluate_on": "validation", **changed}
    )
    return config


def test_the_test_part_is_not_for_searching():
    comparable.check_config(validated())
    with pytest.raises(
        UserError, match="data.evaluate_on must be validation, got test"
    ):
        comparable.check_config(base.get_config())
    with pytest.raises(UserError, match="argument `validation`"):
        comparable.check_config(base.get_config())


def test_a_sequence_of_tasks_is_refused():
    config = validated(**{"continual.classes_per_task": 2, "recipe": "supervised"})
    with pytest.raises(UserError, match="continual.task"):
        comparable.check_config(config)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("data.validation_size={300,400}", "data.validation_size decides"),
        ("evaluation.steps=5..20", "evaluation.steps decides"),
        ("attack.epsilon=0.01..0.1", "attack.epsilon is that of the evaluation"),
        ("loss.alpha=-1..40", "loss.alpha=-1: loss.alpha must be"),
        ("batch_size=0..64", "batch_size=0: batch_size must be"),
        ("optimizer.name={sgd,adamx}", "optimizer.name=adamx"),
        ("loss.temperature=1..4", "loss.weight_temperature"),
        ("loss.gamma=0..1", "loss.name=ikl does not read it"),
        ("teacher.dtype={float32,bfloat16}", "has no teacher"),
    ],
)
def test_trials_that_could_not_be_compared_are_refused(text, said):
    with pytest.raises(UserError, match="--space") as error:
        comparable.check_space(space.read(text), validated(), ["robust"])
    assert said in str(error.value)


def test_fields_without_an_effect_depend_on_the_recipe_and_the_loss():
    check = comparable.check_space
    supervised = validated(recipe="supervised")
    with pytest.raises(UserError, match="recipe=supervised trains without attacks"):
        check(space.read("attack.steps=1..5"), supervised, ["natural"])
    with pytest.raises(UserError, match="recipe=supervised has no divergence"):
        check(space.read("loss.alpha=1..5"), supervised, ["natural"])
    kl = validated(**{"loss.name": "kl", "attack.loss": "kl"})
    with pytest.raises(UserError, match="loss.name=kl has no weights"):
        check(space.read("loss.weight_temperature=1..5"), kl, ["robust"])
    for field in ("alpha", "beta", "gamma"):
        with pytest.raises(UserError, match="loss.name=kl does not read it"):
            check(space.read(f"loss.{field}=1..5"), kl, ["robust"])
    attacked = validated(**{"loss.name": "kl", "attack.loss": "ikl"})
    check(space.read("loss.alpha=1..5"), attacked, ["robust"])
    with pytest.raises(UserError, match="loss.name=kl does not read it"):
        check(space.read("loss.gamma=1..5"), attacked, ["robust"])
    check(space.read("loss.gamma=0..1 loss.name={ikl,gkl}"), validated(), ["robust"])
    check(space.read("attack.epsilon=0.01..0.1"), validated(), ["natural"])
