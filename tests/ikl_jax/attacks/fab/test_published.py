"""FAB's iterates against the published algorithm in NumPy float64."""

import numpy as np
import pytest

from ikl_jax.attacks.fab.boundary import towards_nearest, towards_target
from tests.ikl_jax.attacks.fab.problems import (
    HIDDEN,
    NORMS,
    OUT,
    X,
    attack_of,
    mlp,
    other_classes,
    predictions,
    program_arguments,
)
from tests.ikl_jax.attacks.fab.test_hyperplane import ORDER, step


def planes(point, label):
    """All logits of the MLP less the label's, and their gradients, `[C, D]`."""
    hidden, out = HIDDEN.astype(np.float64), OUT.astype(np.float64)
    active = np.tanh(point @ hidden)
    differences = out - out[:, [label]]
    return active @ differences, (hidden @ ((1 - active**2)[:, None] * differences)).T


def nearest_plane(point, label, norm):
    margins, slopes = planes(point, label)
    dual = {"linf": 1, "l2": 2, "l1": np.inf}[norm]
    steepness = np.linalg.norm(slopes, dual, axis=1)
    steepness[label] = np.inf
    distances = np.abs(margins) / steepness
    distances[label] = np.inf
    return int(distances.argmin())


def published_points(x, labels, aim, norm, steps, alpha_max, eta, beta):
    """The algorithm as published, on the MLP in NumPy float64: its iterates.

    `aim` tells the target of a row at its point.
    """
    order, points, wrongs = ORDER[norm], x.copy(), np.zeros(len(x), int)
    for _ in range(steps):
        for row, (clean, label) in enumerate(zip(x, labels, strict=True)):
            point = points[row]
            target = aim(row, point)
            margins, slopes = planes(point, label)
            w = slopes[target]
            offset = margins[target] - w @ point
            both = np.stack([point, clean])
            moves = step(norm, both, np.stack([w, w]), both @ w + offset)
            first, second = np.maximum(np.linalg.norm(moves, order, axis=1), 1e-8)
            alpha = min(first / (first + second), alpha_max)
            ahead = both + eta * moves
            point = np.clip((1 - alpha) * ahead[0] + alpha * ahead[1], 0, 1)
            if planes(point, label)[0].argmax() != label:
                point = clean + beta * (point - clean)
                wrongs[row] += 1
            points[row] = point
    return points, wrongs


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("settings", [(0.1, 1.05, 0.9), (0.4, 1.2, 0.5)])
@pytest.mark.parametrize("boundary", [towards_target, towards_nearest])
def test_makes_the_published_steps(norm, settings, boundary, x64):
    x, labels = X.astype(np.float64), predictions(mlp, X)
    targets = other_classes(labels)
    if boundary is towards_nearest:
        aim = lambda row, point: nearest_plane(point, labels[row], norm)
        used = {aim(row, point) for row, point in enumerate(x)}
        assert len(used) > 1
    else:
        aim = lambda row, point: targets[row]
    expected, wrongs = published_points(x, labels, aim, norm, 6, *settings)
    assert wrongs.any()
    alpha_max, eta, beta = settings
    attack = attack_of(
        mlp, x, epsilon=0.0, norm=norm, steps=6, alpha_max=alpha_max, eta=eta,
        beta=beta, boundary=boundary,
    )  # fmt: skip
    constants, problem, search, _ = program_arguments(attack, x, labels, targets)
    for i in range(6):
        search, _ = attack._advance(constants, problem, search, i)
    np.testing.assert_allclose(search.point, expected, atol=1e-8)
