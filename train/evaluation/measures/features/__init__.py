"""Features: how compact classes are, what an attack moves, and a map of both."""

import jax
import jax.numpy as jnp
import numpy as np

from ikl_jax import checks
from train.base.errors import explained
from train.evaluation import asked_attack
from train.evaluation.features import with_features
from train.evaluation.judgement import Judgement
from train.evaluation.measures.context import Context
from train.evaluation.measures.features import numbers, spread, tsne
from train.evaluation.measures.features.numbers import Fields
from train.evaluation.measures.measure import (
    ATTACK,
    Finding,
    Measure,
    Option,
    Prepared,
)
from train.evaluation.measures.rows import rows_of
from train.evaluation.outputs import Outputs
from train.evaluation.target import Target
from train.recipes import recipe

MAP = Option(
    "map_examples", int, 1000,
    "Images on the map (t-SNE). 0: no map.",
    lambda value: checks.non_negative(map_examples=value),
)  # fmt: skip


def check_features(target: Target) -> None:
    """Raises `UserError` unless the model has a classifier whose input is a feature."""
    image = jax.ShapeDtypeStruct((1, *target.data.image_shape), jnp.float32)
    call = lambda x: with_features(
        lambda: recipe.evaluate_logits(target.model, target.weights, x)
    )
    with explained():
        jax.eval_shape(call, image)


def mapped(
    natural: Outputs, adversarial: Outputs | None, count: int, seed: int
) -> tuple[Fields, dict[str, np.ndarray]]:
    """The map of some images: what the record says of it, and its coordinates.

    Args:
      natural: the outputs for the images as they are, with features.
      adversarial: those after the attack; None: no attack was made.
      count: of the images.
      seed: of t-SNE.
    """
    rows = rows_of(len(natural.labels), count)
    if not len(rows):
        return {}, {}
    before, features = natural.features, None
    assert before is not None
    if adversarial is not None:
        features = adversarial.features
    after = before[:0] if features is None else features[rows]
    try:
        places, places_after = tsne.joint_map(before[rows], after, seed=seed)
    except ValueError as error:
        return {"map": {"images": 0, "reason": str(error)}}, {}
    arrays = {
        "map_index": natural.indices[rows], "map_label": natural.labels[rows],
        "map_natural": places,
    }  # fmt: skip
    if features is not None:
        arrays["map_adversarial"] = places_after
    return {"map": {"images": len(rows), "seed": seed}}, arrays


def _prepare(context: Context) -> Prepared:
    target, attack = context.target, context.attack
    check_features(target)
    count = context.values[MAP.name]
    seed = asked_attack.seed(target, context.options)
    of_map = {"map_examples": count, **({"map_seed": seed} if count else {})}

    def find(_: Judgement) -> Finding:
        natural, adversarial = context.outputs, context.adversarial
        features = None if adversarial is None else adversarial.features
        assert natural.features is not None
        found = numbers.found(
            natural.labels, natural.features, features, target.data.class_names,
            target.data.num_classes,
        )  # fmt: skip
        about, arrays = mapped(natural, adversarial, count, seed)
        if adversarial is not None and features is not None:
            arrays["adversarial_predicted"] = adversarial.predicted
            arrays["moved"] = spread.moved(natural.features, features)
        name = {"attack_name": attack.name} if attack.restarts else {}
        return Finding({**name, **about, **found}, arrays)

    return Prepared({**context.attack_arguments, **of_map}, find)


FEATURES = Measure("features", _prepare, (MAP,), ATTACK, needs_features=True)
