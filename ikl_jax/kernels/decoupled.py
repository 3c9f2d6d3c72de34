"""The decoupled losses, in one pass over the logits."""

import jax
import jax.numpy as jnp

from ikl_jax import checks, divergences
from ikl_jax.divergences.closed_form import or_one
from ikl_jax.divergences.decoupled import gkl_loss_of_log
from ikl_jax.kernels.forms import Form
from ikl_jax.kernels.losses import temperatures
from ikl_jax.kernels.problem import Problem
from ikl_jax.types import Array, Scalar


def dkl_loss(
    logits: Array,
    target_logits: Array,
    *,
    alpha: Scalar = 1.0,
    beta: Scalar = 1.0,
    where: Array | None = None,
    example_weights: Array | None = None,
    form: Form | None = None,
) -> Array:
    """`ikl_jax.dkl_loss`, whose gradients are KL's, in one pass over the logits.

    Args:
      logits: `[..., C]`, the prediction. Receives gradient from the soft CE only.
      target_logits: `[..., C]`, the target. Receives gradient from the wMSE only.
      alpha: weight of the wMSE, a scalar or `[...]`. Receives gradient.
      beta: weight of the soft cross-entropy, as `alpha`.
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
      >>> print(f"{kernels.dkl_loss(jnp.zeros(4), jnp.zeros(4)):.4f}")
      1.3863
    """
    problem = Problem.create(logits, target_logits, where=where, form=form)
    return problem.losses(divergences.dkl_loss, example_weights, alpha=alpha, beta=beta)


def ikl_loss(
    logits: Array,
    target_logits: Array,
    weights: Array | None = None,
    *,
    alpha: Scalar = 1.0,
    beta: Scalar = 1.0,
    temperature: Scalar = 1.0,
    target_temperature: Scalar | None = None,
    where: Array | None = None,
    example_weights: Array | None = None,
    form: Form | None = None,
) -> Array:
    """`ikl_jax.ikl_loss` in one pass over the logits.

    Args:
      logits: `[..., C]`, the prediction. Receives gradient from both terms.
      target_logits: `[..., C]`, the target. Receives gradient from the wMSE only; for a
        frozen teacher, stop it outside, and its gradient is not written.
      weights: w >= 0, stopped: `[..., C]`, or `[C]`, which all examples share. None:
        the softmax of the target's logits.
      alpha: weight of the wMSE, the paper's alpha, its quarter folded in. Like the
        three arguments below, a scalar or `[...]`, and it receives gradient.
      beta: weight of the soft cross-entropy.
      temperature: T > 0, of the prediction in the soft CE; no factor T^2.
      target_temperature: T' > 0, of the target in the soft CE. None: the same as
        `temperature`.
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
      >>> n, m = jnp.zeros(2), jnp.array([2.0, 0.0])
      >>> w = jnp.array([0.5, 0.5])
      >>> print(f"{kernels.ikl_loss(n, m, w, alpha=20.0, beta=5.0):.4f}")
      13.4657
    """
    problem = Problem.create(
        logits, target_logits, weights=weights, where=where, form=form
    )
    temperatures(temperature, target_temperature)
    return problem.losses(
        divergences.ikl_loss, example_weights, alpha=alpha, beta=beta,
        temperature=temperature, target_temperature=target_temperature,
    )  # fmt: skip


def gkl_loss(
    logits: Array,
    target_logits: Array,
    weights: Array | None = None,
    *,
    alpha: Scalar = 1.0,
    beta: Scalar = 1.0,
    gamma: Scalar = 1.0,
    temperature: Scalar = 1.0,
    target_temperature: Scalar | None = None,
    where: Array | None = None,
    normalizer: Scalar | None = None,
    example_weights: Array | None = None,
    form: Form | None = None,
) -> Array:
    """`ikl_jax.gkl_loss` in one pass over the logits, or in two.

    The wMSE is divided by the mean of `(sum_j w_j^gamma)^2` over the batch, which takes
    a pass over the target and the weights before the one for the losses. Give it as the
    normalizer where it is known.

    Args:
      logits: `[..., C]`, the prediction. Receives gradient from both terms.
      target_logits: `[..., C]`, the target. Receives gradient from the wMSE only.
      weights: as those of `ikl_loss`.
      alpha: weight of the normalised wMSE.
      beta: weight of the soft cross-entropy.
      gamma: exponent >= 0 of the weights, a scalar or `[...]`, stopped.
      temperature: T > 0, of the prediction in the soft CE; no factor T^2.
      target_temperature: T' > 0, of the target in the soft CE. None: the same as
        `temperature`.
      where: the classes that take part; see `ikl_jax.divergences`.
      normalizer: the mean by which the wMSE is divided, a scalar > 0 or `[...]`,
        stopped. None: that of this batch.
      example_weights: `[...]`; the result is then the sum of weights times losses.
      form: what computes the rows; see `ikl_jax.kernels`.

    Returns:
      `[...]` in the dtype of `logits`, or a scalar with `example_weights`.

    Raises:
      ValueError, TypeError: as `kl_divergence`.

    Examples:
      >>> import jax.numpy as jnp
      >>> from ikl_jax import kernels
      >>> n, m = jnp.zeros((1, 2)), jnp.array([[2.0, 0.0]])
      >>> print(kernels.gkl_loss(n, m, gamma=0.0, alpha=2.0, beta=0.0))
      [1.]
    """
    problem = Problem.create(
        logits, target_logits, weights=weights, where=where, form=form
    )
    temperatures(temperature, target_temperature)
    checks.non_negative(gamma=gamma)
    if normalizer is None:
        log_normalizer = problem.log_normalizer(gamma)
    else:
        checks.positive(normalizer=normalizer)
        mean = checks.as_array(normalizer=normalizer).astype(problem.dtype)
        log_normalizer = jnp.log(or_one(mean))
    gamma, log_normalizer = jax.lax.stop_gradient((gamma, log_normalizer))
    return problem.losses(
        gkl_loss_of_log, example_weights, alpha=alpha, beta=beta, gamma=gamma,
        temperature=temperature, target_temperature=target_temperature,
        log_normalizer=log_normalizer,
    )  # fmt: skip
