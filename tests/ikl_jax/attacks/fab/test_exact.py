"""FAB on linear models, where the exact distance is known."""

import numpy as np
import pytest

from ikl_jax import attacks
from ikl_jax.attacks.fab import nearest
from tests.ikl_jax.attacks.fab.problems import CLASSES, FEATURES, NORMS, ROWS, WEIGHT, X
from tests.ikl_jax.attacks.fab.test_hyperplane import smallest_step
from tests.ikl_jax.attacks.sizes import size as sizes


# How near to the exact distance, beyond the boundary as eta says. Where the box stops
# some entries, the others that go beyond are not all that the final search takes back.
@pytest.mark.parametrize(
    ("eta", "looks", "near"), [(1 + 1e-7, 0, 2e-7), (1.05, 3, 5e-3)]
)
@pytest.mark.parametrize("norm", NORMS)
def test_is_exact_between_two_classes_of_a_linear_model(
    norm, eta, looks, near, x64, monkeypatch
):
    monkeypatch.setattr(nearest, "LOOKS", looks)
    x = X.astype(np.float64)
    weight = WEIGHT[:, :2].astype(np.float64)
    labels = (x @ weight).argmax(1)
    found = attacks.fab(
        lambda x: x @ weight, x, labels, 1 - labels, norm=norm, steps=20, eta=eta
    )
    normal = weight[:, 1] - weight[:, 0]
    expected = np.array([smallest_step(row, normal, row @ normal, norm) for row in x])
    assert found.distance.dtype == np.float64
    assert (found.distance >= expected * (1 - 1e-9)).all()
    np.testing.assert_allclose(found.distance, expected, rtol=near)
    np.testing.assert_allclose(sizes(found.x_adv - x, norm), found.distance)
    if not looks:  # which moves what the box has stopped, too
        ends = np.abs(np.asarray(found.x_adv) - 0.5) > 0.5 - 1e-6
        assert (ends & (np.abs(found.x_adv - x) > 1e-3)).any()


def test_where_the_box_does_not_matter_the_final_search_ends_at_the_boundary(x64):
    weight = WEIGHT[:, :2].astype(np.float64)
    normal = weight[:, 1] - weight[:, 0]
    x = np.full((2, FEATURES), 0.5) + 0.01 * np.array([[1.0], [-1.0]]) * normal
    logits = lambda x: (x - 0.5) @ weight
    labels = np.asarray(logits(x)).argmax(1)
    found = attacks.fab(logits, x, labels, 1 - labels, norm="l2", steps=3)
    expected = 0.01 * np.linalg.norm(normal)
    np.testing.assert_allclose(found.distance, expected, rtol=1e-4)


@pytest.mark.parametrize("norm", NORMS)
def test_without_targets_the_nearest_of_all_classes_is_found(norm, x64):
    x = 0.5 + 0.1 * (X.astype(np.float64) - 0.5)  # far from the box
    weight = WEIGHT.astype(np.float64)
    weight -= x.mean(0)[:, None] * (x.mean(0) @ weight) / (x.mean(0) @ x.mean(0))
    labels = (x @ weight).argmax(1)
    assert len(set(labels)) > 2
    found = attacks.fab(lambda x: x @ weight, x, labels, norm=norm, steps=9)
    distances = np.full((ROWS, CLASSES), np.inf)
    for row, (point, label) in enumerate(zip(x, labels, strict=True)):
        for other in set(range(CLASSES)) - {label}:
            normal = weight[:, other] - weight[:, label]
            distances[row, other] = smallest_step(point, normal, point @ normal, norm)
    assert len(set(distances.argmin(1))) > 2
    np.testing.assert_allclose(found.distance, distances.min(1), rtol=1e-3)
