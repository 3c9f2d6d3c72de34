"""How much each field of a space matters, by functional ANOVA.

A random forest is fitted to the objective of the finished trials; a field's importance
is the share of the forest's variance over the whole space that this field explains
alone. With few trials the share of a weak field comes out too small. A range with
`log:` is divided evenly in its logarithm, as it was drawn. Hutter et al., "An efficient
approach for assessing hyperparameter importance", ICML 2014.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from train.search.space import Choices, Range, Space

LEAST_TRIALS = 8  # with fewer, a forest says nothing
RESAMPLES, TREES = 8, 32


def importances(
    space: Space,
    params: Sequence[Mapping[str, Any]],
    values: Sequence[float],
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """The importance of each field, with its standard deviation.

    Args:
      space: of the trials.
      params: each finished trial's value of each field.
      values: each trial's objective.
      seed: of the forests.

    Returns:
      `{field: (share, deviation)}`, the most important first; the shares sum to 1. The
      deviation is that over forests on resampled trials (with replacement). Empty:
      there are too few trials, or all have one value.
    """
    if len(values) < LEAST_TRIALS or len(set(values)) == 1:
        return {}
    random = np.random.default_rng(seed)
    resampled = []
    for resample in range(RESAMPLES):
        rows = random.integers(0, len(values), len(values))
        chosen = [values[row] for row in rows]
        if len(set(chosen)) > 1:
            given = [params[row] for row in rows]
            resampled.append(_of_forest(space, given, chosen, seed + resample))
    shares = _of_forest(space, params, values, seed)
    deviations = {
        name: float(np.std([each[name] for each in resampled])) for name in space
    }
    ordered = sorted(space, key=lambda name: -shares[name])
    return {name: (shares[name], deviations[name]) for name in ordered}


def _of_forest(
    space: Space,
    params: Sequence[Mapping[str, Any]],
    values: Sequence[float],
    seed: int,
) -> dict[str, float]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize")
    kinds = {name: _kind(each) for name, each in space.items()}
    study.add_trials(
        optuna.trial.create_trial(
            params={name: _even(space[name], given[name]) for name in space},
            distributions=kinds,
            value=value,
        )
        for given, value in zip(params, values, strict=True)
    )
    return optuna.importance.get_param_importances(
        study,
        evaluator=optuna.importance.FanovaImportanceEvaluator(n_trees=TREES, seed=seed),
    )


def _kind(values: Range | Choices) -> Any:
    import optuna.distributions as kinds

    if isinstance(values, Choices):
        return kinds.CategoricalDistribution(values.values)
    return kinds.FloatDistribution(
        _even(values, values.low), _even(values, values.high)
    )


def _even(values: Range | Choices, value: Any) -> Any:
    """The value on the scale on which it is drawn evenly."""
    if isinstance(values, Range):
        return math.log(value) if values.log else float(value)
    return value
