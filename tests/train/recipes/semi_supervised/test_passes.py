"""The passes of a step: which images BatchNorm sees together, and in which groups."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax.models.batch_norm import BatchNorm
from train.recipes.semi_supervised.passes import PLANS, Passes
from train.recipes.state import Weights


def drawn():
    """Labelled, weak and strong images, each kind of another brightness."""
    rng = np.random.default_rng(0)
    return [jnp.asarray(rng.normal(i, 1, (n, 5))) for i, n in enumerate((4, 8, 8))]


def logits(plan, groups=1, blocks=1):
    network = BatchNorm(groups=groups)
    variables = network.init(jax.random.key(0), drawn()[0], train=True)
    weights = Weights(variables["params"], variables["batch_stats"])
    passes = Passes(network, PLANS[plan], blocks)
    found, statistics = passes.logits(weights, drawn(), jax.random.key(0))
    return [np.asarray(rows) for rows in found], statistics


def normalised(*arrays):
    together = np.concatenate(arrays)
    return (together - together.mean(0)) / np.sqrt(together.var(0) + 1e-5)


@pytest.mark.parametrize(
    ("plan", "passes"), [("joint", [[0, 1, 2]]), ("two", [[0], [1, 2]])]
)
def test_images_of_one_pass_are_normalised_together(plan, passes):
    found, statistics = logits(plan)
    assert [len(rows) for rows in found] == [4, 8, 8]
    mean = np.zeros(5)
    for kinds in passes:
        images = [np.asarray(drawn()[kind]) for kind in kinds]
        ours = np.concatenate([found[kind] for kind in kinds])
        np.testing.assert_allclose(ours, normalised(*images), atol=1e-5)
        mean = 0.9 * mean + 0.1 * np.concatenate(images).mean(0)
    np.testing.assert_allclose(statistics["mean"], mean, atol=1e-6)


def test_every_group_has_its_share_of_each_kind():
    """Two groups of two labelled, four weak and four strong images."""
    found, _ = logits("joint", groups=2, blocks=2)
    for half in range(2):
        images = [np.array_split(np.asarray(rows), 2)[half] for rows in drawn()]
        ours = np.concatenate([np.array_split(rows, 2)[half] for rows in found])
        np.testing.assert_allclose(ours, normalised(*images), atol=1e-5)


def test_blocks_without_groups_change_no_more_than_rounding():
    for ours, expected in zip(
        logits("two", blocks=4)[0], logits("two")[0], strict=True
    ):
        np.testing.assert_allclose(ours, expected, atol=1e-5)


class Drawing:
    """A model whose logits are what each image draws."""

    drop_path = 0.5

    def apply(self, variables, x, *, train, mutable, keys):
        return jax.vmap(jax.random.uniform)(keys), {}


def test_images_draw_for_themselves_wherever_they_pass():
    """As a model with stochastic depth does."""
    key, weights = jax.random.key(1), Weights({}, {})
    found = {
        (plan, blocks): Passes(Drawing(), PLANS[plan], blocks).logits(
            weights, drawn(), key
        )[0]
        for plan in PLANS
        for blocks in (1, 4)
    }
    first = np.concatenate(found["joint", 1])
    assert len({*first.tolist()}) == len(first)
    for rows in found.values():
        np.testing.assert_array_equal(np.concatenate(rows), first)
