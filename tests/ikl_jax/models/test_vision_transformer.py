"""Vision transformers: stochastic depth, positions of other sizes, and bad input."""

import re
import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax import models
from ikl_jax.models import positions
from tests.support.references.torch_reference import (
    POSITIONS,
    SIDES,
    drawn,
    logits,
    state_dict,
)

TINY = "vit_patch4_2_16"


def small(name=TINY, **options):
    """A module, its variables and three images of 12 x 12 pixels."""
    model = models.create(name, 5, **options)
    x = jax.random.uniform(jax.random.key(0), (3, 12, 12, 3))
    return model, jax.jit(model.init)(jax.random.key(1), x), x


def test_sizes_are_the_published_ones():
    forms = {
        name: (m.patch_size, m.depth, m.features, m.heads, m.drop_path)
        for name in (
            "vit_tiny_patch16_224", "vit_small_patch16_224", "vit_base_patch16_224",
            "vit_small_patch2_32", "vit_patch4_6_192",
        )
        for m in [models.create(name)]
    }  # fmt: skip
    assert forms == {
        "vit_tiny_patch16_224": (16, 12, 192, 3, 0.0),
        "vit_small_patch16_224": (16, 12, 384, 6, 0.0),
        "vit_base_patch16_224": (16, 12, 768, 12, 0.0),
        "vit_small_patch2_32": (2, 12, 384, 6, 0.2),
        "vit_patch4_6_192": (4, 6, 192, 3, 0.0),
    }


@pytest.mark.parametrize("side", SIDES)
def test_positions_are_interpolated_as_timm_does(side):
    ours = positions.interpolated(jnp.asarray(drawn(*POSITIONS)), side)
    expected = logits()[f"positions/{side}"]
    assert ours.shape == expected.shape
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-6)


def test_positions_for_another_size_are_made_aloud():
    arrays = state_dict("vit_patch4_2_128")  # for images of 24 x 24
    same = models.from_torch("vit_patch4_2_128", arrays, image_size=24)
    said = "the positions of 6 x 6 patches were interpolated to 4 x 4, for images of 16"
    with pytest.warns(UserWarning, match=said):
        changed = models.from_torch("vit_patch4_2_128", arrays, image_size=16)
    before, after = same["params"].pop("pos_embed"), changed["params"].pop("pos_embed")
    np.testing.assert_array_equal(before, arrays["pos_embed"])
    np.testing.assert_array_equal(after, positions.interpolated(before, 4))
    jax.tree.map(np.testing.assert_array_equal, same, changed)
    changed["params"]["pos_embed"] = after
    model = models.create("vit_patch4_2_128", 7)
    x = jnp.zeros((1, 16, 16, 3))
    assert jax.eval_shape(model.apply, changed, x).shape == (1, 7)


def test_other_channels_and_classes_are_read_from_the_weights():
    model = models.create(TINY, 6)
    x = jax.ShapeDtypeStruct((1, 8, 8, 1), jnp.float32)
    shapes = jax.eval_shape(model.init, jax.random.key(0), x)
    rng = np.random.default_rng(0)
    variables = jax.tree.map(lambda leaf: rng.random(leaf.shape, np.float32), shapes)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = models.from_torch(TINY, models.to_torch(model, variables))
    jax.tree.map(np.testing.assert_array_equal, again, variables)


@pytest.mark.long
def test_evaluation_draws_nothing():
    model, variables, x = small(drop_path=0.6)
    plain = model.clone(drop_path=0.0)

    def program(model, **options):
        return str(jax.make_jaxpr(partial(model.apply, **options))(variables, x))

    assert program(model) == program(plain) == program(plain, train=True)
    keys = jax.random.split(jax.random.key(2), 3)
    assert program(model, train=True, keys=keys) != program(plain)


def test_what_an_example_draws_depends_on_its_own_key_alone():
    model, variables, x = small(drop_path=0.6)
    keys = jax.random.split(jax.random.key(2), 3)
    apply = jax.jit(lambda x, keys: model.apply(variables, x, train=True, keys=keys))
    whole, single = apply(x, keys), apply(x[1:2], keys[1:2])
    np.testing.assert_allclose(whole[1:2], single, atol=1e-5)
    others = np.abs(apply(x, keys[::-1]) - whole).max(1)
    assert others[[0, 2]].min() > 1e-3
    assert others[1] < 1e-5


def test_stochastic_depth_keeps_the_mean_and_grows_with_depth():
    model = models.create("vit_patch4_4_16", drop_path=0.6)
    factors = np.asarray(
        model._factors(4096, jax.random.split(jax.random.key(0), 4096))
    )
    assert factors.shape == (4096, 4, 2)
    dropped = (factors == 0).mean(0)
    expected = np.array([0.0, 0.2, 0.4, 0.6])
    np.testing.assert_allclose(dropped, np.stack([expected] * 2, 1), atol=0.03)
    np.testing.assert_allclose(factors.max(0)[:, 0], 1 / (1 - expected), rtol=1e-5)
    np.testing.assert_allclose(factors.mean(0), 1.0, atol=0.06)
    # The two parts of a block are left out independently.
    assert abs(np.corrcoef((factors[:, 3] == 0).T)[0, 1]) < 0.06


@pytest.mark.long
def test_a_part_that_is_left_out_adds_nothing():
    """With all parts of the last block left out, its weights get no gradient."""
    model, variables, x = small(drop_path=0.5)
    keys = jax.random.split(jax.random.key(0), 400)
    factors = np.asarray(model._factors(400, keys))
    left_out = keys[np.flatnonzero((factors[:, 1] == 0).all(1))[:1]]

    def loss(params, keys):
        return jnp.sum(
            model.apply({"params": params}, x[:1], train=True, keys=keys) ** 2
        )

    grads = jax.jit(jax.grad(loss))(variables["params"], left_out)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(grads["block1"]))
    assert all(np.any(leaf) for leaf in jax.tree.leaves(grads["block0"]["mlp"]))


@pytest.mark.long
def test_remat_gives_the_same_with_the_same_keys():
    model, variables, x = small(drop_path=0.6)
    keys = jax.random.split(jax.random.key(2), 3)

    def gradient(model):
        def loss(params):
            logits = model.apply({"params": params}, x, train=True, keys=keys)
            return jnp.sum(jnp.sin(logits))

        return jax.jit(jax.grad(loss))(variables["params"])

    pairs = zip(
        *(jax.tree.leaves(gradient(m)) for m in (model, model.clone(remat=True))),
        strict=True,
    )
    for plain, recomputed in pairs:
        np.testing.assert_allclose(recomputed, plain, rtol=1e-3, atol=1e-5)


def test_bfloat16_is_close_and_its_logits_are_not_rounded():
    model, variables, x = small("vit_patch4_2_64")
    exact = jax.jit(model.apply)(variables, x)
    rounded = jax.jit(model.clone(dtype=jnp.bfloat16).apply)(variables, x)
    assert rounded.dtype == jnp.float32
    np.testing.assert_allclose(rounded, exact, atol=0.05 * float(jnp.abs(exact).max()))
    assert np.any(rounded != rounded.astype(jnp.bfloat16).astype(jnp.float32))


def test_it_is_exported_for_any_batch_size():
    model = models.create(TINY, 5)
    x = jax.ShapeDtypeStruct((1, 12, 12, 3), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), x)
    (batch,) = jax.export.symbolic_shape("batch")
    x = jax.ShapeDtypeStruct((batch, 12, 12, 3), jnp.float32)
    exported = jax.export.export(jax.jit(model.apply))(variables, x)
    assert exported.out_avals[0].shape == (batch, 5)


def called(x_shape=(3, 12, 12, 3), keys=None):
    model, variables, _ = small(drop_path=0.5)
    return model.apply(variables, jnp.zeros(x_shape), train=True, keys=keys)


def of_size(image_size):
    arrays = state_dict("vit_patch4_2_128")
    return models.from_torch("vit_patch4_2_128", arrays, image_size=image_size)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (called, r"keys must hold a random key for each of the 3 examples, since drop_path=0.5 .* got None"),
        (lambda: called(keys=jax.random.split(jax.random.key(0), 2)), r"each of the 3 examples.* got \(2,\)"),
        (lambda: called(keys=jax.random.key(0)), r"each of the 3 examples.* got \(\)"),
        (lambda: called((1, 14, 12, 3)), r"multiples of its patches of 4 x 4 pixels, got \(14, 12\)"),
        (lambda: models.create(TINY, drop_path=1.0), r"drop_path must lie in \[0, 1\), got 1.0"),
        (lambda: models.create(TINY, drop_path=-0.1), r"drop_path must lie in \[0, 1\), got -0.1"),
        (lambda: models.create("vit_patch4_2_200"), "features must be a multiple of heads=3, got 200"),
        (lambda: models.create("vit_patch0_2_64"), "patch_size must be > 0, got 0"),
        (lambda: models.create("vit_patch4_0_64"), "depth must be > 0, got 0"),
        (lambda: models.create("vit_small_patch16_384"), "did you mean 'vit_small_patch16_224"),
        (lambda: of_size(30), "image_size must be a multiple of patch_size=4, got 30"),
        (lambda: of_size(0), "image_size must be a multiple of patch_size=4, got 0"),
        (lambda: positions.interpolated(jnp.zeros((1, 198, 4)), 7), "of a square, such as 1 . 14 x 14, got 198"),
    ],
)  # fmt: skip
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pos_embed": np.zeros((1, 38, 128), np.float32)}, "wrongly shaped: pos_embed (1, 38, 128) instead of (1, 37, 128)"),
        ({"pos_embed": None}, "missing: pos_embed"),
        ({"reg_token": np.zeros((1, 4, 128), np.float32)}, "unexpected: reg_token"),
        ({"blocks.0.ls1.gamma": np.ones(128, np.float32)}, "unexpected: blocks.0.ls1.gamma"),
        ({"norm.weight": None, "fc_norm.weight": np.ones(128, np.float32)}, "missing: norm.weight; unexpected: fc_norm.weight"),
    ],
)  # fmt: skip
def test_weights_of_other_transformers_are_refused(changes, message):
    arrays = state_dict("vit_patch4_2_128") | changes
    arrays = {name: array for name, array in arrays.items() if array is not None}
    for image_size in (None, 16):
        with pytest.raises(ValueError, match=re.escape(message)):
            models.from_torch("vit_patch4_2_128", arrays, image_size=image_size)
