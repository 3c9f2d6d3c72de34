"""The decoupled losses: DKL, IKL and GKL, each a sum of a wMSE and a cross-entropy."""

import jax
import jax.numpy as jnp

from ikl_jax import checks
from ikl_jax.divergences.closed_form import or_one, sample_weights, weighted_variance
from ikl_jax.divergences.derivatives import scaled
from ikl_jax.divergences.inputs import Inputs, prepared
from ikl_jax.divergences.raised_weights import normalised_power
from ikl_jax.divergences.terms import tempered_cross_entropy
from ikl_jax.types import Array, Scalar


def dkl_loss(
    logits: Array,
    target_logits: Array,
    *,
    alpha: Scalar = 1.0,
    beta: Scalar = 1.0,
    where: Array | None = None,
) -> Array:
    """Computes the decoupled KL loss, whose gradients are those of KL.

    `alpha * wMSE(m, stopped n; w) + beta * soft_CE(n, stopped m)`, with the weights w =
    stopped softmax(m). By Theorem 1 its gradients at alpha = beta = 1 are those of KL.

    Args:
      logits: `[..., C]`, the prediction n. Receives gradient from the soft CE only.
      target_logits: `[..., C]`, the target m. Receives gradient from the wMSE only.
      alpha: weight of the wMSE, the paper's alpha (the authors' code calls it beta), a
        scalar or `[...]`. Receives gradient.
      beta: weight of the soft cross-entropy, as `alpha`.
      where: the classes that take part; see `ikl_jax.divergences`.

    Returns:
      `[...]`, one value per example. (The value is not KL's; the gradients are.)

    Raises:
      ValueError: the shapes differ.
      TypeError: logits are not floating point, or `where` is not boolean.

    Examples:
      >>> import jax, jax.numpy as jnp, ikl_jax
      >>> n, m = jnp.array([0.0, 1.0, 2.0]), jnp.array([1.0, 3.0, 0.0])
      >>> dkl = jnp.array(jax.grad(ikl_jax.dkl_loss, (0, 1))(n, m))
      >>> kl = jnp.array(jax.grad(ikl_jax.kl_divergence, (0, 1))(n, m))
      >>> bool(jnp.allclose(dkl, kl, atol=1e-6))
      True
    """
    inputs = prepared(logits, target_logits, where)
    stopped_n, m = jax.lax.stop_gradient(inputs.n), inputs.m
    squared_error = weighted_variance(stopped_n, m, *sample_weights(m))
    return _weighted_sum(inputs, alpha, squared_error, beta, 1.0, None)


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
) -> Array:
    """Computes the improved KL loss: the wMSE reaches both logits, weights are chosen.

    `alpha * wMSE(m, n; w) + beta * soft_CE(n / T, stopped m / T')` (Eq. 6). It differs
    from DKL in two ways: n is not stopped in the wMSE, and the weights w are given,
    usually as class means.

    Args:
      logits: `[..., C]`, the prediction n. Receives gradient from both terms.
      target_logits: `[..., C]`, the target m. Receives gradient from the wMSE only;
        for a frozen teacher, stop it outside.
      weights: `[..., C]`, w >= 0, such as `ClassMeans.weights_for(labels)`. Stopped.
        None: softmax(target_logits).
      alpha: weight of the wMSE, the paper's alpha, its quarter folded in: the paper's
        alpha/4 = 5 is `alpha=20`. (The authors' code calls it beta.) Like the three
        arguments below, a scalar or `[...]`, and it receives gradient.
      beta: weight of the soft cross-entropy. (The authors' code calls it alpha.)
      temperature: T > 0, of the prediction in the soft CE; no factor T^2. The wMSE
        always sees the raw logits.
      target_temperature: T' > 0, of the target in the soft CE. None: the same as
        `temperature`.
      where: the classes that take part; see `ikl_jax.divergences`.

    Returns:
      `[...]`, one value per example.

    Raises:
      ValueError: shapes differ, a temperature is not positive or a weight negative.
      TypeError: logits or weights are not floating point, or `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp, ikl_jax
      >>> n, m = jnp.zeros(2), jnp.array([2.0, 0.0])
      >>> w = jnp.array([0.5, 0.5])
      >>> print(f"{ikl_jax.ikl_loss(n, m, w, alpha=20.0, beta=5.0):.4f}")
      13.4657
    """
    inputs = prepared(logits, target_logits, where)
    if weights is None:
        w = sample_weights(inputs.m)
    else:
        w = inputs.as_given(inputs.weights(weights, where))
    squared_error = weighted_variance(inputs.n, inputs.m, *w)
    return _weighted_sum(
        inputs, alpha, squared_error, beta, temperature, target_temperature
    )


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
) -> Array:
    """Computes the generalised KL loss: IKL with weights w^gamma, normalised.

    The wMSE is divided by the mean of `(sum_j w_j^gamma)^2` over the batch, that is,
    over all leading dimensions. So the mean of the returned losses is the published
    value (arXiv 2503.08038), and the loss of one example depends on its batch. Under
    `vmap` the batch is what one call sees. Examples that are left out, and examples
    whose weights are NaN, do not count in that mean.

    Args:
      logits: `[..., C]`, the prediction n. Receives gradient from both terms.
      target_logits: `[..., C]`, the target m. Receives gradient from the wMSE only.
      weights: `[..., C]`, w >= 0, stopped. None: softmax(target_logits).
      alpha: weight of the normalised wMSE, the paper's (the authors' code: beta).
      beta: weight of the soft cross-entropy (the authors' code: alpha).
      gamma: exponent >= 0 of the weights; 0 makes them uniform, those of classes that
        do not take part excepted. A scalar or `[...]`, stopped.
      temperature: T > 0, of the prediction in the soft CE; no factor T^2.
      target_temperature: T' > 0, of the target in the soft CE. None: the same as
        `temperature`.
      where: the classes that take part; see `ikl_jax.divergences`.
      normalizer: the mean by which the wMSE is divided, a scalar > 0 or `[...]`,
        stopped, where it is known from a larger batch. None: that of this batch.

    Returns:
      `[...]`, one value per example.

    Raises:
      ValueError: shapes differ, a temperature or the normalizer is not positive, gamma
        or a weight is negative.
      TypeError: logits or weights are not floating point, or `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp, ikl_jax
      >>> n, m = jnp.zeros((1, 2)), jnp.array([[2.0, 0.0]])
      >>> print(ikl_jax.gkl_loss(n, m, gamma=0.0, alpha=2.0, beta=0.0))
      [1.]
    """
    if normalizer is not None:
        checks.positive(normalizer=normalizer)
        inputs = prepared(logits, target_logits)
        (normalizer,) = inputs.per_example(normalizer=normalizer)
    return gkl_loss_of_log(
        logits, target_logits, weights, alpha=alpha, beta=beta, gamma=gamma,
        temperature=temperature, target_temperature=target_temperature, where=where,
        log_normalizer=None if normalizer is None else jnp.log(or_one(normalizer)),
    )  # fmt: skip


def gkl_loss_of_log(
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
    log_normalizer: Scalar | None = None,
) -> Array:
    """`gkl_loss` of the logarithm of the normaliser, which may not be a float itself.

    Args:
      log_normalizer: a scalar or `[...]`, stopped; the other arguments are those of
        `gkl_loss`.
    """
    inputs = prepared(logits, target_logits, where)
    (powers,) = inputs.beside_classes(gamma=gamma)
    checks.non_negative(gamma=gamma)
    if weights is not None:
        weights = inputs.weights(weights, where)
    if log_normalizer is not None:
        (log_normalizer,) = inputs.per_example(log_normalizer=log_normalizer)
    w = normalised_power(inputs, weights, powers, log_normalizer)
    squared_error = weighted_variance(inputs.n, inputs.m, *w)
    return _weighted_sum(
        inputs, alpha, squared_error, beta, temperature, target_temperature
    )


def _weighted_sum(
    inputs: Inputs,
    alpha: Scalar,
    squared_error: Array,
    beta: Scalar,
    temperature: Scalar,
    target_temperature: Scalar | None,
) -> Array:
    """`alpha * wMSE + beta * soft CE`, in the dtype of the result."""
    a, b = inputs.per_example(alpha=alpha, beta=beta)
    cross_entropy = tempered_cross_entropy(inputs, temperature, target_temperature)
    loss = scaled(a, squared_error, alpha) + scaled(b, cross_entropy, beta)
    return loss.astype(inputs.dtype)
