"""The decoupled losses, straight from a linear head."""

import jax
import jax.numpy as jnp

from ikl_jax import checks, divergences
from ikl_jax.divergences import decoupled
from ikl_jax.divergences.closed_form import or_one
from ikl_jax.linear_head import arguments
from ikl_jax.linear_head.heads import Grouped, Head
from ikl_jax.linear_head.problem import Problem, Target, Where
from ikl_jax.types import Array, Scalar


def dkl_loss(
    student: Head,
    target: Target,
    *,
    alpha: Scalar = 1.0,
    beta: Scalar = 1.0,
    where: Where = None,
    chunk_size: int | None = None,
    example_weights: Array | None = None,
) -> Array:
    """`ikl_jax.dkl_loss` of a linear head, whose gradients are KL's.

    Args:
      student: the prediction's head. Receives gradient from the soft CE only.
      target: a head, logits `[T, V]`, or cached top-k logits. Receives gradient from
        the wMSE only.
      alpha: weight of the wMSE, a scalar or `[T]`. Receives gradient.
      beta: weight of the soft cross-entropy, as `alpha`.
      where: the classes and tokens that take part; see `ikl_jax.linear_head`.
      chunk_size: tokens at a time; see `ikl_jax.linear_head`.
      example_weights: `[T]`; the result is then the sum of weights times losses.

    Returns:
      `[T]`, or a scalar with `example_weights`.

    Raises:
      ValueError: shapes do not fit, or a known value is not allowed.
      TypeError: arrays are not floating point, or `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> from ikl_jax import linear_head
      >>> student = linear_head.Head(jnp.ones((1, 2)), jnp.zeros((2, 4)))
      >>> print(f"{linear_head.dkl_loss(student, jnp.zeros((1, 4)))[0]:.4f}")
      1.3863
    """
    problem = Problem.create(student, target, where=where, chunk_size=chunk_size)
    return problem.losses(divergences.dkl_loss, example_weights, alpha=alpha, beta=beta)


def ikl_loss(
    student: Head,
    target: Target,
    weights: Array | Grouped | None = None,
    *,
    alpha: Scalar = 1.0,
    beta: Scalar = 1.0,
    temperature: Scalar = 1.0,
    target_temperature: Scalar | None = None,
    where: Where = None,
    chunk_size: int | None = None,
    example_weights: Array | None = None,
) -> Array:
    """`ikl_jax.ikl_loss` of a linear head.

    Args:
      student: the prediction's head. Receives gradient from both terms.
      target: a head, logits `[T, V]`, or cached top-k logits. Receives gradient from
        the wMSE only; for a frozen teacher, stop it outside.
      weights: w >= 0, stopped: `[V]`, which all tokens share, or those of a group of
        tokens, `Grouped(table, groups)`. None: the softmax of the target's logits.
      alpha: weight of the wMSE, the paper's alpha, its quarter folded in. Like the
        three arguments below, a scalar or `[T]`, and it receives gradient.
      beta: weight of the soft cross-entropy.
      temperature: T > 0, of the prediction in the soft CE; no factor T^2.
      target_temperature: T' > 0, of the target in the soft CE. None: the same as
        `temperature`.
      where: the classes and tokens that take part; see `ikl_jax.linear_head`.
      chunk_size: tokens at a time; see `ikl_jax.linear_head`.
      example_weights: `[T]`; the result is then the sum of weights times losses.

    Returns:
      `[T]`, or a scalar with `example_weights`.

    Raises:
      ValueError, TypeError: as `dkl_loss`.

    Examples:
      >>> import jax.numpy as jnp
      >>> from ikl_jax import linear_head
      >>> student = linear_head.Head(jnp.ones((1, 3)), jnp.zeros((3, 2)))
      >>> target, w = jnp.array([[2.0, 0.0]]), jnp.array([0.5, 0.5])
      >>> loss = linear_head.ikl_loss(student, target, w, alpha=20.0, beta=5.0)
      >>> print(f"{loss[0]:.4f}")
      13.4657
    """
    problem = Problem.create(
        student, target, weights=weights, where=where, chunk_size=chunk_size
    )
    arguments.temperatures(temperature, target_temperature)
    return problem.losses(
        divergences.ikl_loss, example_weights, alpha=alpha, beta=beta,
        temperature=temperature, target_temperature=target_temperature,
    )  # fmt: skip


def gkl_loss(
    student: Head,
    target: Target,
    weights: Array | Grouped | None = None,
    *,
    alpha: Scalar = 1.0,
    beta: Scalar = 1.0,
    gamma: Scalar = 1.0,
    temperature: Scalar = 1.0,
    target_temperature: Scalar | None = None,
    where: Where = None,
    normalizer: Scalar | None = None,
    chunk_size: int | None = None,
    example_weights: Array | None = None,
) -> Array:
    """`ikl_jax.gkl_loss` of a linear head.

    The wMSE is divided by the mean of `(sum_j w_j^gamma)^2` over all tokens that take
    part, which takes a pass over the chunks before the one for the losses. Give it as
    the normalizer where it is known. A token of which `example_weights` is zero counts
    in that mean, one that `where` leaves out does not. Under `shard_map` the mean is
    that of one device's tokens.

    Args:
      student: the prediction's head. Receives gradient from both terms.
      target: a head, logits `[T, V]`, or cached top-k logits. Receives gradient from
        the wMSE only.
      weights: as those of `ikl_loss`.
      alpha: weight of the normalised wMSE.
      beta: weight of the soft cross-entropy.
      gamma: exponent >= 0 of the weights, a scalar or `[T]`, stopped.
      temperature: T > 0, of the prediction in the soft CE; no factor T^2.
      target_temperature: T' > 0, of the target in the soft CE. None: the same as
        `temperature`.
      where: the classes and tokens that take part; see `ikl_jax.linear_head`.
      normalizer: the mean by which the wMSE is divided, a scalar > 0 or `[T]`, stopped.
        None: that of these tokens.
      chunk_size: tokens at a time; see `ikl_jax.linear_head`.
      example_weights: `[T]`; the result is then the sum of weights times losses.

    Returns:
      `[T]`, or a scalar with `example_weights`.

    Raises:
      ValueError, TypeError: as `dkl_loss`.

    Examples:
      >>> import jax.numpy as jnp
      >>> from ikl_jax import linear_head
      >>> student = linear_head.Head(jnp.ones((1, 3)), jnp.zeros((3, 2)))
      >>> target = jnp.array([[2.0, 0.0]])
      >>> print(linear_head.gkl_loss(student, target, gamma=0.0, alpha=2.0, beta=0.0))
      [1.]
    """
    problem = Problem.create(
        student, target, weights=weights, where=where, chunk_size=chunk_size
    )
    arguments.temperatures(temperature, target_temperature)
    checks.non_negative(gamma=gamma)
    if normalizer is None:
        log_normalizer = problem.log_normalizer(gamma)
    else:
        checks.positive(normalizer=normalizer)
        (mean,) = problem.per_token(normalizer=normalizer)
        log_normalizer = jnp.log(or_one(mean))
    gamma, log_normalizer = jax.lax.stop_gradient((gamma, log_normalizer))
    return problem.losses(
        decoupled.gkl_loss_of_log, example_weights, alpha=alpha, beta=beta, gamma=gamma,
        temperature=temperature, target_temperature=target_temperature,
        log_normalizer=log_normalizer,
    )  # fmt: skip
