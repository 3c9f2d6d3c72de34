"""KL and the losses of its kind, in one pass over the logits."""

from ikl_jax import checks, distillation, divergences
from ikl_jax.kernels.forms import Form
from ikl_jax.kernels.problem import Problem
from ikl_jax.types import Array, Scalar


def kl_divergence(
    logits: Array,
    target_logits: Array,
    *,
    temperature: Scalar = 1.0,
    where: Array | None = None,
    example_weights: Array | None = None,
    form: Form | None = None,
) -> Array:
    """`ikl_jax.kl_divergence` in one pass over the logits.

    Args:
      logits: `[..., C]`, the prediction. Receives gradient.
      target_logits: `[..., C]`, the target. Receives gradient.
      temperature: T > 0, for both sides, a scalar or `[...]`. Receives gradient.
      where: the classes that take part; see `ikl_jax.divergences`.
      example_weights: `[...]`; the result is then the sum of weights times losses.
      form: what computes the rows; see `ikl_jax.kernels`.

    Returns:
      `[...]` in the dtype of `logits`, or a scalar with `example_weights`.

    Raises:
      ValueError: shapes do not fit, a known value is not allowed, or the kernel that is
        asked for does not take the dtype.
      TypeError: arrays are not floating point, or `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> from ikl_jax import kernels
      >>> n, m = jnp.array([0.0, 0.0]), jnp.array([jnp.log(3.0), 0.0])
      >>> print(f"{kernels.kl_divergence(n, m):.4f}")
      0.1308
    """
    problem = Problem.create(logits, target_logits, where=where, form=form)
    checks.positive(temperature=temperature)
    return problem.losses(
        divergences.kl_divergence, example_weights, temperature=temperature
    )


def soft_cross_entropy(
    logits: Array,
    target_logits: Array,
    *,
    temperature: Scalar = 1.0,
    target_temperature: Scalar | None = None,
    where: Array | None = None,
    example_weights: Array | None = None,
    form: Form | None = None,
) -> Array:
    """`ikl_jax.soft_cross_entropy` in one pass over the logits.

    Args:
      logits: `[..., C]`, the prediction. Receives gradient.
      target_logits: `[..., C]`, the target. Stopped.
      temperature: T > 0, of the prediction, a scalar or `[...]`. Receives gradient.
      target_temperature: T' > 0, of the target. None: the same as `temperature`.
      where: the classes that take part; see `ikl_jax.divergences`.
      example_weights: `[...]`; the result is then the sum of weights times losses.
      form: what computes the rows; see `ikl_jax.kernels`.

    Returns:
      `[...]` in the dtype of `logits`, or a scalar with `example_weights`.

    Raises:
      ValueError, TypeError: as `kl_divergence`.

    Examples:
      >>> import jax.numpy as jnp
      >>> from ikl_jax import kernels
      >>> print(f"{kernels.soft_cross_entropy(jnp.zeros(4), jnp.arange(4.0)):.4f}")
      1.3863
    """
    problem = Problem.create(logits, target_logits, where=where, form=form)
    temperatures(temperature, target_temperature)
    return problem.with_stopped_target().losses(
        divergences.soft_cross_entropy, example_weights,
        temperature=temperature, target_temperature=target_temperature,
    )  # fmt: skip


def kd_loss(
    logits: Array,
    target_logits: Array,
    *,
    temperature: Scalar = 4.0,
    where: Array | None = None,
    example_weights: Array | None = None,
    form: Form | None = None,
) -> Array:
    """`ikl_jax.kd_loss`, with its factor T^2, in one pass over the logits.

    Args:
      logits: `[..., C]`, the student's. Receives gradient.
      target_logits: `[..., C]`, the teacher's. Stopped.
      temperature: T > 0, a scalar or `[...]`. Receives gradient.
      where: the classes that take part; see `ikl_jax.divergences`.
      example_weights: `[...]`; the result is then the sum of weights times losses.
      form: what computes the rows; see `ikl_jax.kernels`.

    Returns:
      `[...]` in the dtype of `logits`, or a scalar with `example_weights`.

    Raises:
      ValueError, TypeError: as `kl_divergence`.

    Examples:
      >>> import jax.numpy as jnp
      >>> from ikl_jax import kernels
      >>> print(kernels.kd_loss(jnp.arange(3.0), jnp.arange(3.0)))
      0.0
    """
    problem = Problem.create(logits, target_logits, where=where, form=form)
    checks.positive(temperature=temperature)
    return problem.with_stopped_target().losses(
        distillation.kd_loss, example_weights, temperature=temperature
    )


def temperatures(temperature: Scalar, target_temperature: Scalar | None) -> None:
    """Raises `ValueError` where a known temperature is not above zero."""
    checks.positive(temperature=temperature)
    if target_temperature is not None:
        checks.positive(target_temperature=target_temperature)
