"""Two distillation losses to compare the decoupled losses with: KD and DKD.

Both take `(logits, target_logits)`, the student first, and stop the teacher. Both have
the factor T^2 of their papers, which the decoupled losses do not have.
"""

import jax
import jax.numpy as jnp

from ikl_jax import checks
from ikl_jax.divergences import kl_divergence
from ikl_jax.divergences.inputs import prepared
from ikl_jax.types import Array, Scalar


def kd_loss(logits: Array, target_logits: Array, *, temperature: Scalar = 4.0) -> Array:
    """Computes the knowledge distillation loss (KD).

    `T^2 KL(softmax(m / T) || softmax(n / T))`; only the student receives gradient.

    Args:
      logits: `[..., C]`, the student's n. Receives gradient.
      target_logits: `[..., C]`, the teacher's m. Stopped.
      temperature: T > 0.

    Returns:
      `[...]`, one value per example.

    Raises:
      ValueError: the shapes differ, or the temperature is not positive.
      TypeError: logits are not floating point.

    References:
      Hinton et al., "Distilling the Knowledge in a Neural Network",
      https://arxiv.org/abs/1503.02531, 2015.

    Examples:
      >>> import jax.numpy as jnp, ikl_jax
      >>> print(ikl_jax.kd_loss(jnp.arange(3.0), jnp.arange(3.0)))
      0.0
    """
    target_logits = jax.lax.stop_gradient(target_logits)
    divergence = kl_divergence(logits, target_logits, temperature=temperature)
    return (jnp.square(temperature) * divergence).astype(divergence.dtype)


def dkd_loss(
    logits: Array,
    target_logits: Array,
    labels: Array,
    *,
    alpha: Scalar = 1.0,
    beta: Scalar = 8.0,
    temperature: Scalar = 4.0,
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
      alpha: weight of the target-class term.
      beta: weight of the non-target-class term.
      temperature: T > 0.

    Returns:
      `[...]`, one value per example; NaN for a label out of range under `jit`.

    Raises:
      ValueError: shapes differ, C < 2, the temperature is not positive, or a label is
        out of range (where it is known).
      TypeError: logits are not floating point or labels not integers.

    References:
      Zhao et al., "Decoupled Knowledge Distillation",
      https://arxiv.org/abs/2203.08679, 2022, Eq. 7.

    Examples:
      >>> import jax.numpy as jnp, ikl_jax
      >>> n, m = jnp.array([1.0, 0.0, 0.0]), jnp.array([3.0, 0.0, 0.0])
      >>> print(f"{ikl_jax.dkd_loss(n, m, jnp.array(0), temperature=1.0):.4f}")
      0.2754
    """
    n, m, dtype = prepared(logits, target_logits)
    m = jax.lax.stop_gradient(m)
    labels, num_classes = jnp.asarray(labels), n.shape[-1]
    if num_classes < 2:
        raise ValueError(f"logits must have at least 2 classes, got shape {n.shape}")
    checks.shaped(n.shape[:-1], labels=labels)
    checks.labels_in_range(labels, num_classes)
    checks.positive(temperature=temperature)

    is_label = jax.nn.one_hot(labels, num_classes, dtype=bool)
    n_two_way, n_others = _split(n / temperature, is_label)
    m_two_way, m_others = _split(m / temperature, is_label)
    target_term = kl_divergence(n_two_way, m_two_way)
    other_term = kl_divergence(n_others, m_others)
    loss = jnp.square(temperature) * (alpha * target_term + beta * other_term)
    known = jnp.any(is_label, axis=-1)
    return jnp.where(known, loss, jnp.nan).astype(dtype)


def _split(logits: Array, is_label: Array) -> tuple[Array, Array]:
    """Logits of "label or not", `[..., 2]`, and of the other classes, `[..., C]`.

    In the second array the label's own logit is -1e30: its probability is zero, but it
    is finite, so that differences and gradients are finite too.
    """
    others = jnp.where(is_label, jnp.asarray(-1e30, logits.dtype), logits)
    label = jnp.sum(jnp.where(is_label, logits, 0.0), axis=-1)
    two_way = jnp.stack([label, jax.nn.logsumexp(others, axis=-1)], axis=-1)
    return two_way, others
