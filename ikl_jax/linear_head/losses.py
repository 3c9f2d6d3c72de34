"""KL and the losses of its kind, straight from a linear head."""

from ikl_jax import distillation, divergences
from ikl_jax.linear_head import arguments
from ikl_jax.linear_head.heads import Head
from ikl_jax.linear_head.problem import Problem, Target, Where
from ikl_jax.types import Array, Scalar


def kl_divergence(
    student: Head,
    target: Target,
    *,
    temperature: Scalar = 1.0,
    where: Where = None,
    chunk_size: int | None = None,
    example_weights: Array | None = None,
) -> Array:
    """`ikl_jax.kl_divergence` of a linear head.

    Args:
      student: the prediction's head. Receives gradient.
      target: a head, logits `[T, V]`, or cached top-k logits. Receives gradient.
      temperature: T > 0, for both sides, a scalar or `[T]`. Receives gradient.
      where: the classes and tokens that take part; see `ikl_jax.linear_head`.
      chunk_size: tokens at a time; see `ikl_jax.linear_head`.
      example_weights: `[T]`; the result is then the sum of weights times losses.

    Returns:
      `[T]` in float32 (float64 for float64), or a scalar with `example_weights`.

    Raises:
      ValueError: shapes do not fit, or a known value is not allowed.
      TypeError: arrays are not floating point, or `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> from ikl_jax import linear_head
      >>> student = linear_head.Head(jnp.ones((1, 2)), jnp.zeros((2, 2)))
      >>> target = jnp.log(jnp.array([[3.0, 1.0]]))
      >>> print(f"{linear_head.kl_divergence(student, target)[0]:.4f}")
      0.1308
    """
    problem = Problem.create(student, target, where=where, chunk_size=chunk_size)
    arguments.temperatures(temperature)
    return problem.losses(
        divergences.kl_divergence, example_weights, temperature=temperature
    )


def soft_cross_entropy(
    student: Head,
    target: Target,
    *,
    temperature: Scalar = 1.0,
    target_temperature: Scalar | None = None,
    where: Where = None,
    chunk_size: int | None = None,
    example_weights: Array | None = None,
) -> Array:
    """`ikl_jax.soft_cross_entropy` of a linear head.

    Args:
      student: the prediction's head. Receives gradient.
      target: a head, logits `[T, V]`, or cached top-k logits. Stopped.
      temperature: T > 0, of the prediction, a scalar or `[T]`. Receives gradient.
      target_temperature: T' > 0, of the target. None: the same as `temperature`.
      where: the classes and tokens that take part; see `ikl_jax.linear_head`.
      chunk_size: tokens at a time; see `ikl_jax.linear_head`.
      example_weights: `[T]`; the result is then the sum of weights times losses.

    Returns:
      `[T]`, or a scalar with `example_weights`.

    Raises:
      ValueError, TypeError: as `kl_divergence`.

    Examples:
      >>> import jax.numpy as jnp
      >>> from ikl_jax import linear_head
      >>> student = linear_head.Head(jnp.ones((1, 2)), jnp.zeros((2, 4)))
      >>> target = linear_head.TopK(jnp.zeros((1, 1)), jnp.array([[3]]))
      >>> print(f"{linear_head.soft_cross_entropy(student, target)[0]:.4f}")
      1.3863
    """
    problem = Problem.create(student, target, where=where, chunk_size=chunk_size)
    arguments.temperatures(temperature, target_temperature)
    return problem.with_stopped_target().losses(
        divergences.soft_cross_entropy, example_weights, temperature=temperature,
        target_temperature=target_temperature,
    )  # fmt: skip


def kd_loss(
    student: Head,
    target: Target,
    *,
    temperature: Scalar = 4.0,
    where: Where = None,
    chunk_size: int | None = None,
    example_weights: Array | None = None,
) -> Array:
    """`ikl_jax.kd_loss` of a linear head: `T^2 KL`, of which the target is stopped.

    Args:
      student: the student's head. Receives gradient.
      target: a head, logits `[T, V]`, or cached top-k logits. Stopped.
      temperature: T > 0, a scalar or `[T]`. Receives gradient.
      where: the classes and tokens that take part; see `ikl_jax.linear_head`.
      chunk_size: tokens at a time; see `ikl_jax.linear_head`.
      example_weights: `[T]`; the result is then the sum of weights times losses.

    Returns:
      `[T]`, or a scalar with `example_weights`.

    Raises:
      ValueError, TypeError: as `kl_divergence`.

    Examples:
      >>> import jax.numpy as jnp
      >>> from ikl_jax import linear_head
      >>> student = linear_head.Head(jnp.ones((3, 2)), jnp.zeros((2, 4)))
      >>> teacher = linear_head.Head(jnp.ones((3, 6)), jnp.ones((6, 4)))
      >>> mean = jnp.full(3, 1 / 3)
      >>> print(linear_head.kd_loss(student, teacher, example_weights=mean))
      0.0
    """
    problem = Problem.create(student, target, where=where, chunk_size=chunk_size)
    arguments.temperatures(temperature)
    return problem.with_stopped_target().losses(
        distillation.kd_loss, example_weights, temperature=temperature
    )
