"""Calibration: whether examples are right as often as their confidence says."""

from typing import Any

import numpy as np

from ikl_jax import checks
from train.base.errors import UserError
from train.evaluation.judgement import Judgement
from train.evaluation.measures.calibration import errors, temperature
from train.evaluation.measures.context import Context
from train.evaluation.measures.measure import Finding, Measure, Option, Prepared

FIT, NONE = "fit", "none"

BINS = Option(
    "bins", int, 15, "Bins of the calibration error.",
    lambda value: checks.positive(bins=value),
)  # fmt: skip
RESAMPLES = Option(
    "resamples", int, 1000, "Bootstrap samples of the error's interval.",
    lambda value: checks.positive(resamples=value),
)  # fmt: skip
TEMPERATURE = Option(
    "temperature", str, None,
    "fit (on the validation part, which must be there) or none. Default: fit if there "
    "is a validation part.",
    lambda value: checks.one_of("temperature", value, (FIT, NONE)),
)  # fmt: skip


def found(
    logits: np.ndarray, labels: np.ndarray, *, bins: int, resamples: int, seed: int
) -> dict[str, Any]:
    """All numbers about the calibration of logits, as a record has them.

    Args:
      logits: `[N, C]`.
      labels: `[N]`.
      bins: of the error, in both ways.
      resamples: of the bootstrap.
      seed: of the bootstrap.
    """
    calibrated = errors.confidences(logits, labels)
    error, diagram = {}, {}
    for name, binning in errors.BINNINGS.items():
        bin_of = binning(calibrated.confidence, bins)
        value = errors.expected_calibration_error(calibrated, bin_of, bins)
        low, high = errors.bootstrap_interval(
            calibrated, bin_of, bins, resamples=resamples, seed=seed
        )
        error[name] = {"value": value, "low": low, "high": high}
        diagram[name] = errors.reliability(calibrated, bin_of, bins)
    nll = errors.negative_log_likelihood(logits, labels)
    return {
        "negative_log_likelihood": float(nll.mean()),
        "brier_score": float(errors.brier_score(logits, labels).mean()),
        "mean_confidence": float(calibrated.confidence.mean()),
        "expected_calibration_error": error,
        "reliability": diagram,
    }


def _prepare(context: Context) -> Prepared:
    asked = context.values["temperature"]
    missing = _missing_part(context)
    if asked == FIT and missing:
        raise UserError(f"--temperature=fit needs a validation part, and {missing}")
    fits = asked != NONE and missing is None
    settings = {
        "bins": context.values["bins"], "resamples": context.values["resamples"],
        "seed": context.options.seed or 0,
    }  # fmt: skip
    size = context.target.config.data.validation_size if fits else 0

    def find(_: Judgement) -> Finding:
        outputs = context.outputs
        logits, labels = outputs.logits, outputs.labels
        result = {
            "level": errors.LEVEL,
            **found(logits, labels, **settings),
            **_scaled(context, settings, fits),
        }
        if missing and asked is None:
            result["notes"] = [f"no temperature was fitted: {missing}"]
        return Finding(
            result,
            {
                "confidence": errors.confidences(logits, labels).confidence,
                "negative_log_likelihood": errors.negative_log_likelihood(
                    logits, labels
                ),
                "brier_score": errors.brier_score(logits, labels),
            },
        )

    return Prepared({**settings, "temperature_fitted_on": size}, find)


def _scaled(context: Context, settings: dict[str, int], fits: bool) -> dict[str, Any]:
    """The temperature, and all numbers after it; None where it is not fitted."""
    if not fits:
        return {"temperature": None, "after_temperature": None}
    held_out = context.validation_outputs
    value = temperature.fitted(held_out.logits, held_out.labels)
    outputs = context.outputs
    return {
        "temperature": value,
        "temperature_at_limit": temperature.is_at_limit(value),
        "after_temperature": found(outputs.logits / value, outputs.labels, **settings),
    }


def _missing_part(context: Context) -> str | None:
    """Why there is no validation part to fit on; None: there is one."""
    if context.has_validation_part:
        return None
    if context.target.config.data.evaluate_on == "validation":
        return "the validation part is the one that is evaluated"
    if context.target.config.continual.task:
        return "the run is a task of a sequence, whose validation part is of all tasks"
    return "no examples were held out of training: data.validation_size is 0"


CALIBRATION = Measure(
    "calibration", _prepare, (BINS, RESAMPLES, TEMPERATURE), ("seed",)
)
