"""Detection of images that are not of the training data, by four scores."""

from typing import Any

import numpy as np

from ikl_jax import checks
from train.base.errors import explained
from train.evaluation.judgement import Judgement
from train.evaluation.measures.context import Context
from train.evaluation.measures.measure import Finding, Measure, Option, Prepared
from train.evaluation.measures.ood import detection, images, scores
from train.evaluation.measures.ood.images import Others
from train.evaluation.outputs import Outputs, joined

SOURCE = Option(
    "ood",
    str,
    None,
    "The other images: a data source, noise or noise:SEED.",
    required=True,
)
SPLIT = Option("ood_split", str, "test", "The part of a folder or tfds source to take.")
SHRINKAGE = Option(
    "shrinkage", float, 0.01,
    "Share of the identity in the covariance of the features, from 0 to 1.",
    lambda value: checks.within(0, 1, shrinkage=value),
)  # fmt: skip
FIT_EXAMPLES = Option(
    "fit_examples", int, 50_000,
    "Training examples for the class means and the covariance, evenly spread.",
    lambda value: checks.positive(fit_examples=value),
)  # fmt: skip


def found(
    inside: dict[str, np.ndarray], outside: dict[str, np.ndarray]
) -> dict[str, dict[str, Any]]:
    """All numbers about each score, of in-distribution and of other examples."""
    return {name: detection.found(inside[name], outside[name]) for name in inside}


def scores_of(
    outputs: Outputs, gaussians: scores.Gaussians, shrinkage: float
) -> dict[str, np.ndarray]:
    """Each score `[N]` of outputs that have features."""
    assert outputs.features is not None
    of_logits = {n: score(outputs.logits) for n, score in scores.OF_LOGITS.items()}
    distance = scores.mahalanobis(outputs.features, gaussians, shrinkage)
    return {**of_logits, "mahalanobis": distance}


def _prepare(context: Context) -> Prepared:
    source = context.values["ood"]
    others = _others(source, context)
    train = context.target.data.train
    fitted = images.spread(train, context.values["fit_examples"])
    shrinkage = context.values["shrinkage"]
    same = others.shape == context.target.data.image_shape

    def find(_: Judgement) -> Finding:
        inside = context.outputs
        outside = joined(context.outputs_of(others.split))
        parts = ((o.features, o.labels) for o in context.outputs_of(fitted))
        with explained():
            gaussians = scores.fit_gaussians(parts, context.target.data.num_classes)  # type: ignore[arg-type]
            of_each = [scores_of(o, gaussians, shrinkage) for o in (inside, outside)]
        return Finding(
            {
                "against": source,
                "examples": len(inside.labels),
                "ood_examples": len(outside.labels),
                **({} if same else {"resized_from": list(others.shape)}),
                "scores": found(*of_each),
            },
            _arrays(outside, *of_each),
        )

    arguments = {
        "ood": source, "ood_fingerprint": others.fingerprint,
        "ood_examples": len(others.split), "fit_examples": len(fitted),
        "shrinkage": shrinkage,
    }  # fmt: skip
    return Prepared(arguments, find, f", {source}")


def _others(source: str, context: Context) -> Others:
    if source.partition(":")[0] == images.NOISE:
        return images.noise(source, context)
    return images.of_source(source, context)


def _arrays(
    outside: Outputs, inner: dict[str, np.ndarray], outer: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    return {
        **{f"score_{name}": score for name, score in inner.items()},
        **{f"ood_score_{name}": score for name, score in outer.items()},
        "ood_predicted": outside.predicted,
        "ood_logits": outside.logits,
    }


OOD = Measure(
    "ood", _prepare, (SOURCE, SPLIT, SHRINKAGE, FIT_EXAMPLES),
    needs_features=True,
)  # fmt: skip
