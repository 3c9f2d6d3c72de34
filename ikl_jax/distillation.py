"""Two distillation losses to compare the decoupled losses with: KD and DKD.

Both take `(logits, target_logits)`, the student first, and stop the teacher. Both have
the factor T^2 of their papers, which the decoupled losses do not have. `where`, masked
logits and examples that are left out are as in `ikl_jax.divergences`.
"""

import jax
import jax.numpy as jnp

from ikl_jax import checks
from ikl_jax.divergences.closed_form import top
from ikl_jax.divergences.derivatives import Derivatives, differentiable, scaled
from ikl_jax.divergences.inputs import mask, prepared
from ikl_jax.divergences.kullback_leibler import kl
from ikl_jax.types import Array, Scalar


def kd_loss(
    logits: Array,
    target_logits: Array,
    *,
    temperature: Scalar = 4.0,
    where: Array | None = None,
) -> Array:
    """Computes the knowledge distillation loss (KD).

    `T^2 KL(softmax(m / T) || softmax(n / T))`; only the student receives gradient.

    Args:
      logits: `[..., C]`, the student's n. Receives gradient.
      target_logits: `[..., C]`, the teacher's m. Stopped.
      temperature: T > 0, a scalar or `[...]`. Receives the whole gradient: that of the
        factor, of the student's and of the teacher's probabilities.
      where: the classes that take part.

    Returns:
      `[...]`, one value per example.

    Raises:
      ValueError: the shapes differ, or the temperature is not positive.
      TypeError: logits are not floating point, or `where` is not boolean.

    References:
      Hinton et al., "Distilling the Knowledge in a Neural Network",
      https://arxiv.org/abs/1503.02531, 2015.

    Examples:
      >>> import jax.numpy as jnp, ikl_jax
      >>> print(ikl_jax.kd_loss(jnp.arange(3.0), jnp.arange(3.0)))
      0.0
    """
    inputs = prepared(logits, target_logits, where)
    (inverse,) = inputs.inverse(temperature=temperature)
    divergence = kl(inputs.n, jax.lax.stop_gradient(inputs.m), inverse)
    loss = scaled(1 / jnp.square(inverse), divergence, temperature)
    return loss.astype(inputs.dtype)


def dkd_loss(
    logits: Array,
    target_logits: Array,
    labels: Array,
    *,
    alpha: Scalar = 1.0,
    beta: Scalar = 8.0,
    temperature: Scalar = 4.0,
    where: Array | None = None,
) -> Array:
    """Computes the decoupled knowledge distillation loss (DKD).

    `T^2 (alpha * target-class KL + beta * non-target-class KL)`. The target-class term
    is the KL between the two-way distributions "label or not". The other term is the KL
    between the distributions over the remaining classes. `alpha` and `beta` are those
    of the DKD paper, not those of the decoupled losses.

    Args:
      logits: `[..., C]` with C >= 2, the student's n. Receives gradient.
      target_logits: `[..., C]`, the teacher's m. Stopped.
      labels: `[...]`, integers in [0, C).
      alpha: weight of the target-class term, a scalar or `[...]`. Receives gradient.
      beta: weight of the non-target-class term, as `alpha`.
      temperature: T > 0, a scalar or `[...]`. Receives the whole gradient, as in KD.
      where: the classes that take part. The label of an example that is left out whole
        may be any integer.

    Returns:
      `[...]`, one value per example; NaN for a label that is out of range under `jit`
      or is not among the classes that take part.

    Raises:
      ValueError: shapes differ, C < 2, the temperature is not positive, or a label is
        out of range (where it is known).
      TypeError: logits are not floating point, labels not integers or `where` not
        boolean.

    References:
      Zhao et al., "Decoupled Knowledge Distillation",
      https://arxiv.org/abs/2203.08679, 2022, Eq. 7.

    Examples:
      >>> import jax.numpy as jnp, ikl_jax
      >>> n, m = jnp.array([1.0, 0.0, 0.0]), jnp.array([3.0, 0.0, 0.0])
      >>> print(f"{ikl_jax.dkd_loss(n, m, jnp.array(0), temperature=1.0):.4f}")
      0.2754
    """
    inputs = prepared(logits, target_logits, where)
    n, m = inputs.n, jax.lax.stop_gradient(inputs.m)
    num_classes = n.shape[-1]
    if num_classes < 2:
        raise ValueError(f"logits must have at least 2 classes, got shape {n.shape}")
    labels = checks.as_array(labels=labels)
    checks.shaped(inputs.batch, labels=labels)
    counts = None if where is None else jnp.any(mask(where, n.shape), axis=-1)
    labels = checks.labels_in_range(labels, num_classes, counts)
    (inverse,) = inputs.inverse(temperature=temperature)
    a, b = inputs.per_example(alpha=alpha, beta=beta)

    margins = [_label_margin(x, labels, inverse) for x in (n, m)]
    target_term = kl(*map(_two_way, margins), jnp.ones_like(inverse))
    is_label = _is_label(n, labels)
    other_term = kl(*(jnp.where(is_label, -jnp.inf, x) for x in (n, m)), inverse)
    loss = scaled(a, target_term, alpha) + scaled(b, other_term, beta)
    loss = scaled(1 / jnp.square(inverse), loss, temperature)
    is_masked = [jnp.isneginf(_of_label(x, labels)) for x in (n, m)]
    is_known = (labels >= 0) & ~(is_masked[0] & is_masked[1])
    loss = jnp.where(is_known | inputs.is_left_out, loss, jnp.nan)
    return loss.astype(inputs.dtype)


def _is_label(logits: Array, labels: Array) -> Array:
    """`[..., C]`, whether a class is the label."""
    shape = (1,) * (logits.ndim - 1) + logits.shape[-1:]
    classes = jnp.arange(logits.shape[-1], dtype=jnp.int32).reshape(shape)
    return labels[..., None] == classes


def _of_label(logits: Array, labels: Array) -> Array:
    """The label's logit; that of class 0 for a label that is out of range."""
    known = jnp.maximum(labels, 0)[..., None]
    return jnp.squeeze(jnp.take_along_axis(logits, known, axis=-1), axis=-1)


def _two_way(margin: Array) -> Array:
    """The logits of "label or not", `[..., 2]`."""
    return jnp.stack([margin, jnp.zeros_like(margin)], axis=-1)


@differentiable
def _label_margin(
    logits: Array, labels: Array, inverse: Array
) -> tuple[Array, Derivatives]:
    """The logit of the label against all other classes together, `[...]`.

    `n_label / T - log sum_j exp(n_j / T)` over the other classes j; 0 if no other class
    takes part.
    """
    s = inverse[..., None]
    is_label = _is_label(logits, labels)
    others = jnp.where(is_label, -jnp.inf, logits)
    top_other = top(others)
    unnormalised = jnp.exp((others - top_other) * s)
    total = jnp.sum(unnormalised, axis=-1, keepdims=True)
    is_alone = total == 0
    label = jnp.where(is_alone, top_other, _of_label(logits, labels)[..., None])
    total = jnp.where(is_alone, 1.0, total)
    value = (label - top_other) * s - jnp.log(total)
    # The margin above masks of the dtype's smallest number may overflow.
    largest = jnp.where(jnp.isposinf(label), jnp.inf, jnp.finfo(value.dtype).max)
    value = jnp.minimum(value, largest)

    def by_logits() -> Array:
        sign = jnp.where(is_label, 1.0, -unnormalised * (1 / total))
        return jnp.where(is_alone, 0.0, s * sign)

    def by_inverse() -> Array:
        below_top = jnp.where(unnormalised > 0, others, top_other) - top_other
        mean = jnp.sum(unnormalised * below_top, axis=-1, keepdims=True) / total
        return jnp.squeeze((label - top_other) - mean, axis=-1)

    return jnp.squeeze(value, axis=-1), (by_logits, None, by_inverse)
