"""What attacks assume of the network and of epsilon, and sentences where it is wrong.

A sentence says what makes a result meaningless. AutoAttack adds it to the notes of its
result; every attack that is called from Python gives it as a warning.
"""

import warnings
from collections.abc import Callable, Iterator

import jax.numpy as jnp
import numpy as np

from ikl_jax import checks
from ikl_jax.attacks.common import geometry
from ikl_jax.types import Array, Scalar

# Logits of an example count as changed if they differ by more than this share of the
# range of its logits. In one program, and at one place in the batch, an example's
# logits are hardly rounded in two ways.
CHANGED = 1e-3


def warn(sentences: Iterator[str], stacklevel: int = 3) -> None:
    """Gives each sentence as a warning at the place that called the attack."""
    for sentence in sentences:
        warnings.warn(sentence, stacklevel=stacklevel)


def not_finite(logits: np.ndarray) -> Iterator[str]:
    """A sentence if logits `[N, C]` are not all finite numbers."""
    finite = np.isfinite(logits)
    bad = np.flatnonzero(~finite.all(axis=1))
    if not len(bad):
        return
    row, column = bad[0], np.flatnonzero(~finite[bad[0]])[0]
    got = f"logits_fn must return finite logits, got {logits[row, column]:g}"
    whole = np.flatnonzero(np.isneginf(logits).all(axis=0))
    if len(whole):
        got = f"{got} for class {whole[0]} in all examples"
    else:
        got = f"{got} for class {column} of example {row}"
    got = f"{got} ({len(bad)} of {len(logits)} examples)"
    if (finite | np.isneginf(logits)).all():
        got = (
            f"{got}: for a class that is not there use a large negative number such "
            "as -1e4, or pass classes: the columns of the logits that are there"
        )
    yield got


def mixed(rows: np.ndarray) -> np.ndarray:
    """The batch of `rows` `[B]` with its second half replaced by one of the first."""
    kept = (len(rows) + 1) // 2
    return rows[np.minimum(np.arange(len(rows)), kept - 1)]


def depends_on_batch(logits: np.ndarray, again: np.ndarray) -> Iterator[str]:
    """A sentence if an example's logits depend on the others of its batch.

    Args:
      logits: `[B, C]`, of a batch.
      again: `[B, C]`, of the batch `mixed`.
    """
    kept = (len(logits) + 1) // 2
    first, second = logits[:kept], again[:kept]
    size = np.ptp(first, axis=1, keepdims=True)
    changed = ~(np.abs(first - second) <= CHANGED * size).all(axis=1)
    if changed.any():
        flipped = int((first.argmax(1) != second.argmax(1)).sum())
        yield (
            f"the logits of {changed.sum()} of {kept} examples, and the predictions of "
            f"{flipped}, change with the other examples in the batch, as in training "
            "mode of BatchNorm: results mean little, use the running statistics"
        )


def check_logits_fn(
    logits_of: Callable[[Array, Array], Array],
    x: Array,
    keys: Array,
    logits: Array | None = None,
) -> Iterator[str]:
    """The sentences of `not_finite` and `depends_on_batch` about one batch.

    Args:
      logits_of: a compiled function of inputs and keys.
      x: `[B, ...]`.
      keys: `[B]`.
      logits: `[B, C]`, those of `x`, if they are known.
    """
    logits = logits_of(x, keys) if logits is None else logits
    host = np.asarray(logits)
    yield from not_finite(host)
    rows = mixed(np.arange(len(x)))
    if np.isfinite(host).all() and len(rows) > 1:
        yield from depends_on_batch(host, np.asarray(logits_of(x[rows], keys[rows])))


def covers_box(
    x: np.ndarray | Array, epsilon: float, norm: str, size: int = 256
) -> Iterator[str]:
    """A sentence if the ball around an example holds all inputs in [0, 1].

    Args:
      x: `[N, ...]` in [0, 1].
      epsilon: radius of the ball.
      norm: its name.
      size: the number of examples that are looked at together.
    """
    size_of = geometry.norm_named(norm).size
    # The nearest that the farthest corner of the box can be.
    if float(epsilon) < size_of(np.full((1, *x.shape[1:]), 0.5))[0]:
        return
    count = 0
    for start in range(0, len(x), size):
        part = np.asarray(x[start : start + size], np.float64)
        count += int((size_of(np.maximum(part, 1.0 - part)) <= float(epsilon)).sum())
    if count:
        yield _all_inputs(epsilon, f"{count} of {len(x)} examples", geometry.BOX)


def covers_bounds(
    shape: tuple[int, ...], epsilon: Scalar, norm: str, bounds: geometry.Bounds
) -> Iterator[str]:
    """A sentence if a known ball holds all inputs within the bounds, around any `x`."""
    if checks.is_concrete(epsilon):
        width = np.full((1, *shape[1:]), bounds[1] - bounds[0], np.float64)
        smallest = checks.least_and_most(epsilon)[0]
        if width.size and smallest >= geometry.norm_named(norm).size(width)[0]:
            yield _all_inputs(epsilon, "any example", bounds)


def _all_inputs(epsilon: Scalar, of: str, bounds: geometry.Bounds) -> str:
    return (
        f"the ball of radius {float(epsilon):g} around {of} holds every input in "
        f"[{bounds[0]:g}, {bounds[1]:g}], so nothing can be robust: epsilon is in the "
        "units of x, such as 8/255"
    )


def too_fine(
    dtype: jnp.dtype, epsilon: Scalar, norm: str, bounds: geometry.Bounds
) -> Iterator[str]:
    """A sentence if a known l-infinity ball is finer than the numbers of the dtype."""
    if norm != "linf" or not checks.is_concrete(epsilon):
        return
    spacing = float(jnp.finfo(dtype).eps) / 2 * max(map(abs, bounds))
    radius = checks.least_and_most(epsilon)[0]
    if 0 < radius < spacing and jnp.finfo(dtype).bits < 32:
        yield (
            f"epsilon {radius:g} is less than the distance of {dtype} numbers at the "
            f"bounds, {spacing:g}, so inputs there cannot move: give x in float32, and "
            "convert it in loss_fn"
        )
