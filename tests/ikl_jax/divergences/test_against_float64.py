"""Losses and their gradients against float64, over dtypes, scales, masks and shapes.

The quick tests run one program on one batch; the long one runs 100,000 losses.
"""

import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ikl_jax
from tests.support.references import masked_reference as reference

ROWS, DRAWS = 480, 8
MASKS = (
    "none", "where", "both", "target", "smallest", "prediction", "row", "nan row",
)  # fmt: skip
PROGRAMS = [("float32", 7), ("bfloat16", 7), ("float16", 4), ("float32", 33)]
SCALES = {
    "float32": (1e-4, 1e-2, 1.0, 10.0, 1e3, 1e6),
    "bfloat16": (1e-2, 1.0, 10.0, 1e3, 1e6),
    "float16": (1e-2, 1.0, 10.0, 100.0),
}


def draw(dtype, classes, rng):
    """A batch in which every row has a scale, an offset and a mask of its own."""
    scale = rng.choice(SCALES[dtype], (ROWS, 1))
    offset = rng.choice([0.0, 0.0, 0.0, 100.0], (ROWS, 1))
    n = offset + scale * rng.standard_normal((ROWS, classes))
    m = np.where(
        rng.random((ROWS, 1)) < 0.3,
        n * (1 + 0.01 * rng.standard_normal((ROWS, classes))),
        scale * rng.standard_normal((ROWS, classes)),
    )
    kind = rng.choice(len(MASKS), ROWS)
    some = rng.random((ROWS, classes)) < 0.4
    at = lambda name: (kind == MASKS.index(name))[:, None]
    where = ~(some & at("where")) & ~at("row") & ~at("nan row")
    smallest = float(jnp.finfo(dtype).min)
    n = np.where(some & (at("both") | at("prediction")), -np.inf, n)
    m = np.where(some & (at("both") | at("target")), -np.inf, m)
    m = np.where(some & at("smallest"), smallest, m)
    n, m = (np.where(at("nan row"), np.nan, x) for x in (n, m))
    weights = rng.dirichlet(np.ones(classes), ROWS)
    weights = np.where(rng.random((ROWS, classes)) < 0.1, 0.0, weights)
    scalars = {
        "alpha": rng.choice([0.0, 1.0, 20.0], ROWS),
        "beta": rng.choice([0.0, 1.0, 4.0], ROWS),
        "gamma": rng.choice([0.25, 1.0, 2.0], ROWS),
        "temperature": rng.choice([0.1, 1.0, 3.0, 4.0], ROWS),
        "target_temperature": rng.choice([0.5, 1.0, 2.0], ROWS),
    }
    labels = rng.integers(0, classes, ROWS)
    rounded = [jnp.asarray(x, dtype) for x in (n, m)]
    singles = [jnp.asarray(x, jnp.float32) for x in (weights, *scalars.values())]
    ones = jnp.ones(ROWS)
    arguments = (*rounded, jnp.asarray(where), jnp.asarray(labels), *singles, ones)
    exact = [np.asarray(x, np.float64) for x in (*rounded, *singles)]
    n, m = (np.where(where, x, -np.inf) for x in exact[:2])
    case = reference.Case(n, m, exact[2], labels, smallest / 2, *exact[3:])
    return arguments, case, kind


@jax.jit
def every_loss(n, m, where, labels, w, alpha, beta, gamma, temperature, t_m, cotangent):
    """Values and gradients of all losses, compiled as one program."""
    of = dict(where=where)
    two = dict(of, alpha=alpha, beta=beta)
    warm = dict(temperature=temperature)
    both = dict(warm, target_temperature=t_m)
    losses = {
        "kl": lambda n, m: ikl_jax.kl_divergence(n, m, **warm, **of),
        "soft_ce": lambda n, m: ikl_jax.soft_cross_entropy(n, m, **both, **of),
        "wmse": lambda n, m: ikl_jax.weighted_mse(n, m, w, **of),
        "dkl": lambda n, m: ikl_jax.dkl_loss(n, m, **two),
        "ikl": lambda n, m: ikl_jax.ikl_loss(n, m, w, **two, **both),
        "ikl_sample": lambda n, m: ikl_jax.ikl_loss(n, m, **two, **both),
        "gkl": lambda n, m: ikl_jax.gkl_loss(n, m, w, gamma=gamma, **two, **both),
        "kd": lambda n, m: ikl_jax.kd_loss(n, m, **warm, **of),
        "dkd": lambda n, m: ikl_jax.dkd_loss(n, m, labels, **two, **warm),
    }

    def value_and_gradients(loss):
        value, transposed = jax.vjp(loss, n, m)
        return value, *transposed(cotangent.astype(value.dtype))

    return {name: value_and_gradients(loss) for name, loss in losses.items()}


def tolerance(name, case, expected, dtype):
    """What the rounding of float32 and of the result's dtype explains, `[B]`."""
    finite = lambda x: np.where(np.isfinite(x) & (np.abs(x) < 1e37), np.abs(x), 0.0)
    size = np.maximum(finite(case.n).max(-1), finite(case.m).max(-1))
    single = float(jnp.finfo("float32").eps)
    last_place = float(jnp.finfo(dtype).eps)
    cold = np.minimum(case.temperature, case.target_temperature)
    scaled = 1 + size / np.minimum(cold, 1.0)
    # An error of a logarithm of a probability, and of a logit difference.
    loss = single * scaled
    if name not in ("kl", "soft_ce", "kd", "dkd"):
        loss = loss * (1 + case.alpha * (1 + size)) * (1 + case.beta)
    if name == "wmse":
        loss = single * (1 + size) ** 2
    if name in ("kd", "dkd"):
        loss = (
            loss * np.maximum(case.temperature, 1.0) ** 2 * (1 + case.alpha + case.beta)
        )
    gradient = loss * (1 + size) / np.minimum(cold, 1.0)
    value, *gradients = expected
    smallest = float(jnp.finfo(dtype).smallest_subnormal)
    yield 32 * loss + 2 * last_place * finite(value) + smallest
    for array in gradients:
        yield (32 * gradient)[:, None] + 2 * last_place * finite(array) + smallest


def wrong(found, expected, allowed, dtype):
    """Where a number is not the expected one as the dtype holds it."""
    largest = float(jnp.finfo(dtype).max)
    found = np.asarray(found, np.float64)
    beyond = np.abs(expected) >= largest * (1 - 2**-6)
    same_class = np.where(
        np.isnan(expected),
        np.isnan(found),
        np.where(beyond, np.isinf(found) | (np.abs(found) > largest / 2), True),
    )
    ordinary = ~np.isnan(expected) & ~beyond
    with np.errstate(invalid="ignore"):
        close = np.abs(found - expected) <= allowed
    return ~same_class | (ordinary & ~close)


def compare(dtype, classes, rng, counts):
    """Counts one batch's losses by kind, and returns those that are wrong."""
    arguments, case, kind = draw(dtype, classes, rng)
    found, faults = every_loss(*arguments), []
    with np.errstate(all="ignore"):
        for name, definition in reference.LOSSES.items():
            expected = definition(case)
            allowed = tolerance(name, case, expected, dtype)
            parts = ("value", "by n", "by m")
            for part, *numbers in zip(
                parts, found[name], expected, allowed, strict=True
            ):
                bad = wrong(*numbers, dtype)
                bad = bad if bad.ndim == 1 else bad.any(-1)
                faults += [
                    (name, part, MASKS[kind[row]]) for row in np.flatnonzero(bad)
                ]
            value = expected[0]
            counts["losses"] += len(value)
            counts["finite"] += int(np.isfinite(value).sum())
            counts["infinite by definition"] += int(np.isinf(value).sum())
            counts["NaN by definition"] += int(np.isnan(value).sum())
            counts["left out whole"] += int(case.left_out.sum())
    return faults


def test_all_losses_and_masks_of_one_batch():
    counts = collections.Counter()
    faults = compare("float32", 7, np.random.default_rng(0), counts)
    assert not faults, collections.Counter(faults)
    assert len(counts) == 5
    assert min(counts.values()) > 0


@pytest.mark.parametrize("what", ["NaN", "a target of minus infinity", "infinity"])
def test_a_zero_cotangent_gives_zero_gradients(what):
    arguments, _, _ = draw("float32", 7, np.random.default_rng(1))
    n, m, where, *others, _ = arguments
    broken = jnp.arange(ROWS)[:, None] < 100
    if what == "NaN":
        n, m = jnp.where(broken, jnp.nan, n), jnp.where(broken, jnp.nan, m)
    elif what == "infinity":
        n = jnp.where(broken, jnp.inf, n)
    else:
        m = jnp.where(broken, -jnp.inf, m)
    cotangent = jnp.where(broken[:, 0], 0.0, 1.0)
    counts = every_loss(n, m, where | broken, *others, cotangent)
    for name, (_, *by_logits) in counts.items():
        for gradient in by_logits:
            np.testing.assert_array_equal(gradient[:100], 0.0, err_msg=name)
            assert np.any(gradient) or not np.any(by_logits[-1])


@pytest.mark.long
def test_100_000_losses():
    counts, faults = collections.Counter(), []
    for number, (dtype, classes) in enumerate(PROGRAMS):
        rng = np.random.default_rng(number)
        for _ in range(DRAWS):
            faults += compare(dtype, classes, rng, counts)
    print(dict(counts), f"{len(faults)} wrong")
    assert counts["losses"] >= 100_000
    assert not faults, collections.Counter(faults)
