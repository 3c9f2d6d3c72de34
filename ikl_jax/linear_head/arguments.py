"""Checks of heads, targets, weights and masks. Each error names what was given."""

import numbers
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ikl_jax import checks
from ikl_jax.divergences.inputs import checked_mask
from ikl_jax.linear_head import varying
from ikl_jax.linear_head.heads import Grouped, Head, TopK, TopKWithRest
from ikl_jax.linear_head.products import Linear
from ikl_jax.linear_head.rows import Affine
from ikl_jax.types import Array, Scalar

RESHAPE = "; hidden.reshape(-1, H) makes one row a token"


def head(name: str, given: Head) -> tuple[Linear, Affine]:
    """The two parts of a head, as arrays."""
    if not isinstance(given, Head):
        raise TypeError(f"{name} must be a Head, got {type(given).__name__}")
    hidden = _matrix(f"{name}.hidden", given.hidden, RESHAPE)
    kernel = _matrix(f"{name}.kernel", given.kernel)
    if hidden.shape[1] != kernel.shape[0]:
        raise ValueError(
            f"{name}.kernel must have as many rows as {name}.hidden has columns, got "
            f"hidden {hidden.shape}, kernel {kernel.shape}"
        )
    if not kernel.shape[1]:
        raise ValueError(f"{name}.kernel must have a column, got {kernel.shape}")
    _whole_vocabulary(name, hidden, kernel)
    bias = given.bias
    if bias is not None:
        bias = _floating(f"{name}.bias", bias)
        checks.shaped(kernel.shape[1:], **{f"{name}.bias": bias})
    linear, cap = Linear(hidden, kernel), given.soft_cap
    dtype = linear.sum_dtype
    scale = checks.per_example((), dtype, f"{name}.scale", given.scale)
    if cap is not None:
        checks.positive(**{f"{name}.soft_cap": cap})
        cap = checks.per_example((), dtype, f"{name}.soft_cap", cap)
    return linear, Affine(scale, bias, cap)


def _whole_vocabulary(name: str, hidden: Array, kernel: Array) -> None:
    """Raises `ValueError` for a kernel that `shard_map` has divided by its columns."""
    extra = varying.axes(kernel) - varying.axes(hidden)
    if extra:
        raise ValueError(
            f"{name}.kernel must hold the whole vocabulary, got a part of it along "
            f"{', '.join(sorted(extra))}; leave that axis of the mesh out of the "
            "axis_names of shard_map, and the compiler divides the vocabulary"
        )


def target_logits(given: Any, shape: tuple[int, int]) -> Array:
    """Logits `[T, V]` of a target."""
    if not (hasattr(given, "dtype") or isinstance(given, list)):
        raise TypeError(
            "target must be a Head, a TopK, a TopKWithRest or logits, got "
            f"{type(given).__name__}"
        )
    logits = _floating("target", given)
    if logits.shape != shape:
        raise ValueError(
            "target must be a Head, a TopK, a TopKWithRest or logits of shape "
            f"{shape}, got shape {logits.shape}"
        )
    return logits


def same_vocabulary(student: Linear, target: Linear) -> None:
    """Raises `ValueError` unless two heads fit each other."""
    (tokens, classes), (others, of_target) = (
        (len(each.hidden), each.kernel.shape[1]) for each in (student, target)
    )
    if classes != of_target:
        raise ValueError(
            "student and target must have one vocabulary, got kernels "
            f"{student.kernel.shape} and {target.kernel.shape}; pad the smaller one "
            "and leave the padding out with `where`"
        )
    if tokens != others:
        raise ValueError(
            "student and target must have the same tokens, got hidden states "
            f"{student.hidden.shape} and {target.hidden.shape}"
        )


def top_k(
    given: TopK | TopKWithRest, tokens: int, classes: int, dtype: jnp.dtype
) -> TopK | TopKWithRest:
    """Cached logits in the dtype to compute in, minus infinity where there are none.

    The smallest number of the logits' own dtype stands for minus infinity, too. An
    index that is out of range, which only `jit` hides, becomes -1.
    """
    logits = _matrix("target.logits", given.logits)
    indices = checks.as_array(**{"target.indices": given.indices})
    if logits.shape != indices.shape or len(logits) != tokens:
        raise ValueError(
            f"target.logits and target.indices must both have shape ({tokens}, k), got "
            f"{logits.shape} and {indices.shape}"
        )
    if not 1 <= logits.shape[1] <= classes:
        raise ValueError(
            f"target must have 1 to {classes} logits a token, as many as there are "
            f"classes, got k = {logits.shape[1]}"
        )
    is_there = ~(logits <= jnp.finfo(logits.dtype).min / 2)  # NaN is there
    # What is not there may have any index.
    indices = checks.classes_in_range(classes, is_there, **{"target.indices": indices})
    _different(indices, is_there)
    logits = jnp.where(is_there, logits.astype(dtype), -jnp.inf)
    if isinstance(given, TopK):
        return TopK(logits, indices)
    rest = _floating("target.rest", given.rest)
    checks.shaped((tokens,), **{"target.rest": rest})
    return TopKWithRest(logits, indices, rest.astype(dtype))


def _different(indices: Array, is_there: Array) -> None:
    """Raises `ValueError` if a token is known to have one class twice."""
    if not (checks.is_concrete(indices) and checks.is_concrete(is_there)):
        return
    known = np.asarray(jax.device_get(indices)).astype(np.int64)
    # What is not there gets a number of its own.
    missing = -2 - np.arange(known.shape[1])
    known = np.where(np.asarray(jax.device_get(is_there)), known, missing)
    known.sort(axis=1)
    twice = np.argwhere(known[:, 1:] == known[:, :-1])
    if len(twice):
        token, position = twice[0]
        raise ValueError(
            "target.indices must be different within a token, got class "
            f"{known[token, position]} twice for token {token}"
        )


def weights(
    given: Array | Grouped | None, tokens: int, classes: int
) -> Array | Grouped | None:
    """Weights of the squared error, stopped."""
    if given is None:
        return None
    if not isinstance(given, Grouped):
        w = _floating("weights", given)
        if w.shape != (classes,):
            raise ValueError(
                f"weights must be None, have shape ({classes},), the vocabulary's, or "
                f"be Grouped(table, groups), got shape {w.shape}"
            )
        checks.none_negative(weights=w)
        return jax.lax.stop_gradient(w)
    table = _matrix("weights.table", given.table)
    if table.shape[1] != classes or not len(table):
        raise ValueError(
            f"weights.table must have shape (G, {classes}), got {table.shape}"
        )
    checks.none_negative(**{"weights.table": table})
    groups = checks.as_array(**{"weights.groups": given.groups})
    checks.shaped((tokens,), **{"weights.groups": groups})
    groups = checks.classes_in_range(len(table), **{"weights.groups": groups})
    # A gather would take -1 for the last group.
    groups = jnp.where(groups < 0, len(table), groups)
    return Grouped(jax.lax.stop_gradient(table), groups)


def masks(
    where: Array | tuple[Array, ...] | None, shape: tuple[int, int]
) -> tuple[Array, ...]:
    """The masks, each `[T or 1, V or 1]`."""
    if where is None:
        return ()
    given = where if isinstance(where, tuple) else (where,)
    found = [checked_mask(mask, shape) for mask in given]
    return tuple(x.reshape((1,) * (2 - x.ndim) + x.shape) for x in found)


def temperatures(temperature: Scalar, target_temperature: Scalar | None = None) -> None:
    """Raises `ValueError` where a known temperature is not above zero."""
    checks.positive(temperature=temperature)
    if target_temperature is not None:
        checks.positive(target_temperature=target_temperature)


def chunk_size(given: int | None) -> int | None:
    """Raises an error unless it is None or an integer >= 1."""
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, numbers.Integral):
        raise TypeError(
            f"chunk_size must be an integer, a number of tokens, or None, got {given!r}"
        )
    if given < 1:
        raise ValueError(f"chunk_size must be >= 1, got {given}")
    return int(given)


def _matrix(name: str, given: Any, hint: str = "") -> Array:
    array = _floating(name, given)
    if array.ndim != 2:
        raise ValueError(
            f"{name} must have 2 dimensions, got shape {array.shape}{hint}"
        )
    return array


def _floating(name: str, given: Any) -> Array:
    array = checks.as_array(**{name: given})
    checks.floating(**{name: array})
    explicit = varying.explicit_axes(array)
    if explicit:
        raise ValueError(
            f"{name} must be divided over axes of a mesh whose type is Auto, got "
            f"Explicit axes {', '.join(explicit)}; create the mesh with Auto axes, or "
            "wrap the loss in jax.sharding.auto_axes"
        )
    return array
