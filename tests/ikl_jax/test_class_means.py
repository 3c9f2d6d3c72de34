"""The record of class means."""

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from ikl_jax import ClassMeans
from tests.support.references import reference

LOGITS = 2 * jax.random.normal(jax.random.key(0), (12, 4))
LABELS = jnp.array([0, 1, 2, 0, 1, 2, 0, 0, 0, 1, 1, 2])  # class 3 is never seen


def test_rows_are_the_means_of_their_class():
    means = ClassMeans.create(4).accumulate(LOGITS, LABELS, temperature=2.0).advance()
    predictions = reference.softmax(np.asarray(LOGITS, np.float64) / 2)
    for label in range(3):
        expected = predictions[np.asarray(LABELS) == label].mean(0)
        np.testing.assert_allclose(means.mean[label], expected, rtol=1e-6)


def test_an_unseen_class_keeps_its_row():
    first = ClassMeans.create(4).accumulate(LOGITS, LABELS).advance()
    np.testing.assert_array_equal(first.mean[3], 0.25)
    second = first.accumulate(LOGITS[1:3], LABELS[1:3]).advance()
    np.testing.assert_array_equal(second.mean[0], first.mean[0])
    assert not np.allclose(second.mean[1], first.mean[1])
    np.testing.assert_array_equal(first.advance().mean, first.mean)


def test_batches_add_up():
    whole = ClassMeans.create(4).accumulate(LOGITS, LABELS)
    parts = ClassMeans.create(4)
    for i in range(0, 12, 3):
        parts = parts.accumulate(LOGITS[i : i + 3], LABELS[i : i + 3])
    np.testing.assert_allclose(parts.total, whole.total, rtol=1e-6)
    np.testing.assert_array_equal(parts.count, [5, 4, 3, 0])


def test_advance_empties_the_sums_and_mixes_with_momentum():
    means = ClassMeans.create(4).accumulate(LOGITS, LABELS)
    replaced, mixed = means.advance(), means.advance(momentum=0.9)
    assert not np.any(mixed.total)
    assert not np.any(mixed.count)
    expected = 0.9 * 0.25 + 0.1 * np.asarray(replaced.mean)
    np.testing.assert_allclose(mixed.mean[:3], expected[:3], rtol=1e-6)
    np.testing.assert_allclose(mixed.mean.sum(1), 1.0, rtol=1e-6)


def test_where_leaves_examples_out_even_if_they_are_nan():
    keep = jnp.arange(12) % 2 == 0
    logits = jnp.where(keep[:, None], LOGITS, jnp.nan)
    masked = ClassMeans.create(4).accumulate(logits, LABELS, where=keep)
    expected = ClassMeans.create(4).accumulate(LOGITS[::2], LABELS[::2])
    np.testing.assert_allclose(masked.total, expected.total, rtol=1e-6)
    np.testing.assert_array_equal(masked.count, expected.count)


def test_a_left_out_example_may_have_any_label():
    labels = jnp.where(jnp.arange(12) % 2 == 0, LABELS, -100)
    where = labels >= 0
    masked = ClassMeans.create(4).accumulate(LOGITS, labels, where=where)
    expected = ClassMeans.create(4).accumulate(LOGITS[::2], LABELS[::2])
    np.testing.assert_allclose(masked.total, expected.total, rtol=1e-6)
    np.testing.assert_array_equal(masked.count, expected.count)
    weights = masked.advance().weights_for(labels, where=where)
    assert not np.any(weights[1::2])
    np.testing.assert_array_equal(weights[::2].sum(1) > 0.99, True)


def test_nan_stays_in_the_row_of_its_label():
    logits = LOGITS.at[jnp.array([0, 1])].set(jnp.nan)
    labels = LABELS.at[1].set(-100)  # ignored, so that its NaN is nowhere
    total = jax.jit(ClassMeans.create(4).accumulate)(logits, labels).total
    np.testing.assert_array_equal(np.isnan(total).all(1), [True, False, False, False])
    assert np.isfinite(total[1:]).all()


def test_labels_narrower_than_the_number_of_classes():
    labels = np.array([5, 100, 255])
    logits = jax.random.normal(jax.random.key(1), (3, 300))
    means = [
        ClassMeans.create(300).accumulate(logits, kind)
        for kind in (labels, labels.astype(np.uint8))
    ]
    np.testing.assert_array_equal(means[1].count, means[0].count)
    np.testing.assert_array_equal(means[1].total, means[0].total)


def test_a_program_with_a_record_can_be_exported():
    pytest.importorskip("flatbuffers")  # which JAX needs to write programs
    step = jax.jit(lambda means, x, y: means.accumulate(x, y).advance())
    means = ClassMeans.create(4)
    exported = jax.export.export(step)(means, LOGITS, LABELS)
    loaded = jax.export.deserialize(exported.serialize())
    found = loaded.call(means, LOGITS, LABELS)
    assert isinstance(found, ClassMeans)
    np.testing.assert_array_equal(found.mean, step(means, LOGITS, LABELS).mean)


def test_sums_are_float32_whatever_the_logits():
    means = ClassMeans.create(4).accumulate(LOGITS.astype(jnp.bfloat16), LABELS)
    assert {leaf.dtype for leaf in jax.tree.leaves(means)} == {jnp.dtype("float32")}
    exact = ClassMeans.create(4).accumulate(
        LOGITS.astype(jnp.bfloat16).astype(jnp.float32), LABELS
    )
    np.testing.assert_array_equal(means.total, exact.total)


def test_sharded_over_devices():
    mesh = jax.make_mesh(
        (4,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:4]
    )
    sharding = NamedSharding(mesh, PartitionSpec("data"))
    sharded = [jax.device_put(array, sharding) for array in (LOGITS, LABELS)]
    means = jax.jit(lambda m, x, y: m.accumulate(x, y))(ClassMeans.create(4), *sharded)
    expected = ClassMeans.create(4).accumulate(LOGITS, LABELS)
    np.testing.assert_allclose(means.total, expected.total, rtol=1e-6)
    np.testing.assert_array_equal(means.count, expected.count)


def test_weights_are_rows_and_stopped():
    means = ClassMeans.create(4).accumulate(LOGITS, LABELS).advance()
    np.testing.assert_array_equal(means.weights_for(LABELS), means.mean[LABELS])
    assert means.weights_for(LABELS.reshape(3, 4)).shape == (3, 4, 4)
    grads = jax.grad(lambda m: m.weights_for(LABELS).sum())(means)
    assert not np.any(grads.mean)
    to_logits = jax.grad(
        lambda x: ClassMeans.create(4).accumulate(x, LABELS).advance().mean[0, 0]
    )(LOGITS)
    assert not np.any(to_logits)


def test_labels_out_of_range_are_loud_under_jit_too():
    means = ClassMeans.create(4)
    for label in (-1, 4):
        row = jax.jit(means.weights_for)(jnp.array([label, 0]))
        assert np.isnan(row[0]).all()
        assert np.isfinite(row[1]).all()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda m: m.weights_for(LABELS + 2),
            ValueError,
            r"labels must lie in \[0, 4\)",
        ),
        (lambda m: m.weights_for(LABELS * 1.0), TypeError, "labels must be integers"),
        (lambda m: m.accumulate(LOGITS, LABELS - 1), ValueError, "from -1 to 1"),
        (lambda m: m.accumulate(LOGITS[:, :3], LABELS), ValueError, r"\(B, 4\)"),
        (
            lambda m: m.accumulate(LOGITS, LABELS, where=LABELS[:, None] > 0),
            ValueError,
            r"where must have shape \(12,\), got \(12, 1\)",
        ),
        (
            lambda m: m.accumulate(LOGITS, LABELS, temperature=LOGITS[:, :1] + 9),
            ValueError,
            r"temperature must be a scalar or have shape \(12,\)",
        ),
        (lambda m: m.accumulate(LOGITS, LABELS[:3]), ValueError, r"shape \(12,\)"),
        (
            lambda m: m.accumulate(LOGITS, LABELS, temperature=0),
            ValueError,
            "temperature must be > 0",
        ),
        (
            lambda m: m.advance(momentum=1.5),
            ValueError,
            r"momentum must lie in \[0, 1\]",
        ),
        (lambda m: ClassMeans.create(0), ValueError, "num_classes must be > 0"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call(ClassMeans.create(4))
