"""Decoupled Kullback-Leibler losses: KL, DKL, IKL and GKL.

All losses take `(logits, target_logits)`, the paper's `(n, m)`: the prediction
(student, adversarial) first, the target (teacher, natural) second, both of shape
`[..., C]`. They return one value per example, `[...]`, in the dtype of `logits`;
inside, everything is float32 (float64 for float64 input). The caller reduces.

`alpha` multiplies the weighted squared error (wMSE), whose factor of a quarter is
folded in, and `beta` the soft cross-entropy, as in the paper; the authors' code
has them the other way round.

Reference: Cui et al., "Decoupled Kullback-Leibler Divergence Loss",
https://arxiv.org/abs/2305.13948, 2024.

The closed form. With weights w, W = sum_j w_j, d = m - n and the weighted mean
mu = sum_j w_j d_j / W, the paper's sum over pairs of classes is

    1/4 sum_jk w_j w_k ((m_j - m_k) - (n_j - n_k))^2
        = 1/4 sum_jk w_j w_k (d_j - d_k)^2
        = 1/2 (W sum_j w_j d_j^2 - (sum_j w_j d_j)^2)
        = 1/2 W sum_j w_j (d_j - mu)^2,

half a weighted variance of the logit difference, linear in C. Its derivative
with respect to m_j is W w_j (d_j - mu), and minus that with respect to n_j.

The two terms are each a `jax.custom_vjp` whose forward pass already forms the gradient:
compiled, value and gradient share their passes over the logits, and each softmax
is recomputed from its normaliser instead of being kept. Reverse-mode derivatives
of any order work; `jax.jvp` of the losses themselves does not (JAX does not mix it
with `custom_vjp`), except for `kl_divergence`, a `jax.custom_jvp`.
"""

import jax
import jax.numpy as jnp

from ikl_jax import checks
from ikl_jax.types import Array, Scalar

_ONE = 1.0  # the factor of weights that are used as they are


def kl_divergence(
    logits: Array, target_logits: Array, *, temperature: Scalar = 1.0
) -> Array:
    """KL(softmax(target_logits / T) || softmax(logits / T)), without a T^2 factor.

    Args:
      logits: `[..., C]`, the prediction n. Receives gradient.
      target_logits: `[..., C]`, the target m. Receives gradient.
      temperature: T > 0, for both sides.

    Returns:
      `[...]`, one divergence per example.

    Raises:
      ValueError: the shapes differ, or the temperature is not positive.
      TypeError: logits are not floating point.

    >>> import jax.numpy as jnp, ikl_jax
    >>> n, m = jnp.array([0.0, 0.0]), jnp.array([jnp.log(3.0), 0.0])
    >>> print(f"{ikl_jax.kl_divergence(n, m):.4f}")
    0.1308
    """
    n, m = _prepare(logits, target_logits)
    checks.positive(temperature=temperature)
    return _kl(n / temperature, m / temperature).astype(logits.dtype)


def soft_cross_entropy(
    logits: Array,
    target_logits: Array,
    *,
    temperature: Scalar = 1.0,
    target_temperature: Scalar | None = None,
) -> Array:
    """-sum_j softmax(target_logits / T')_j log softmax(logits / T)_j.

    The second term of Theorem 1 (arXiv 2305.13948), without a T^2 factor.

    Args:
      logits: `[..., C]`, the prediction n. Receives gradient.
      target_logits: `[..., C]`, the target m. Stopped.
      temperature: T > 0, of the prediction.
      target_temperature: T' > 0, of the target; None takes `temperature`.

    Returns:
      `[...]`, one value per example.

    Raises:
      ValueError: the shapes differ, or a temperature is not positive.
      TypeError: logits are not floating point.

    >>> import jax.numpy as jnp, ikl_jax
    >>> print(f"{ikl_jax.soft_cross_entropy(jnp.zeros(4), jnp.arange(4.0)):.4f}")
    1.3863
    """
    n, m = _prepare(logits, target_logits)
    return _soft_ce(n, m, temperature, target_temperature).astype(logits.dtype)


def weighted_mse(logits: Array, target_logits: Array, weights: Array) -> Array:
    """1/4 sum_jk w_j w_k ((m_j - m_k) - (n_j - n_k))^2, the wMSE, in closed form.

    The first term of Theorem 1 (arXiv 2305.13948), its quarter included.

    Args:
      logits: `[..., C]`, the prediction n. Receives gradient.
      target_logits: `[..., C]`, the target m. Receives gradient.
      weights: `[..., C]`, w >= 0, not necessarily summing to 1. Stopped.

    Returns:
      `[...]`, one value per example; zero, with zero gradients, for zero weights.

    Raises:
      ValueError: the shapes differ, or a weight is negative (where it is known).
      TypeError: logits or weights are not floating point.

    >>> import jax.numpy as jnp, ikl_jax
    >>> n, m, w = jnp.zeros(2), jnp.array([2.0, 0.0]), jnp.array([0.5, 0.5])
    >>> print(ikl_jax.weighted_mse(n, m, w))
    0.5
    """
    n, m = _prepare(logits, target_logits)
    w = _prepare_weights(weights, logits)
    return _weighted_mse(n, m, w, _ONE).astype(logits.dtype)


def dkl_loss(
    logits: Array, target_logits: Array, *, alpha: Scalar = 1.0, beta: Scalar = 1.0
) -> Array:
    """Decoupled KL: its gradients at alpha = beta = 1 are those of KL (Theorem 1).

    alpha * wMSE(m, stopped n; w = stopped softmax(m)) + beta * soft CE(n, stopped m).

    Args:
      logits: `[..., C]`, the prediction n. Receives gradient from the soft CE only.
      target_logits: `[..., C]`, the target m. Receives gradient from the wMSE only.
      alpha: weight of the wMSE, the paper's alpha (the authors' code calls it beta).
      beta: weight of the soft cross-entropy.

    Returns:
      `[...]`, one value per example. (The value is not KL's; the gradients are.)

    Raises:
      ValueError: the shapes differ.
      TypeError: logits are not floating point.

    >>> import jax, jax.numpy as jnp, ikl_jax
    >>> n, m = jnp.array([0.0, 1.0, 2.0]), jnp.array([1.0, 3.0, 0.0])
    >>> dkl = jnp.array(jax.grad(ikl_jax.dkl_loss, (0, 1))(n, m))
    >>> kl = jnp.array(jax.grad(ikl_jax.kl_divergence, (0, 1))(n, m))
    >>> bool(jnp.allclose(dkl, kl, atol=1e-6))
    True
    """
    n, m = _prepare(logits, target_logits)
    squared_error = _weighted_mse(jax.lax.stop_gradient(n), m, *_sample_weights(m))
    loss = alpha * squared_error + beta * _soft_ce(n, m)
    return loss.astype(logits.dtype)


def ikl_loss(
    logits: Array,
    target_logits: Array,
    weights: Array | None = None,
    *,
    alpha: Scalar = 1.0,
    beta: Scalar = 1.0,
    temperature: Scalar = 1.0,
    target_temperature: Scalar | None = None,
) -> Array:
    """Improved KL (Eq. 6): DKL whose wMSE reaches both logits, with chosen weights.

    alpha * wMSE(m, n; w) + beta * soft CE(n / T, stopped m / T').

    Args:
      logits: `[..., C]`, the prediction n. Receives gradient from both terms.
      target_logits: `[..., C]`, the target m. Receives gradient from the wMSE only;
        for a frozen teacher, stop it outside.
      weights: `[..., C]`, w >= 0, such as `ClassMeans.weights_for(labels)`. Stopped.
        None takes softmax(target_logits).
      alpha: weight of the wMSE, the paper's alpha, its quarter folded in: the paper's
        alpha/4 = 5 is `alpha=20`. (The authors' code calls it beta.)
      beta: weight of the soft cross-entropy. (The authors' code calls it alpha.)
      temperature: T > 0, of the prediction in the soft CE; no T^2 factor. The wMSE
        always sees the raw logits.
      target_temperature: T' > 0, of the target in the soft CE; None takes T.

    Returns:
      `[...]`, one value per example.

    Raises:
      ValueError: shapes differ, a temperature is not positive or a weight negative.
      TypeError: logits or weights are not floating point.

    >>> import jax.numpy as jnp, ikl_jax
    >>> n, m = jnp.zeros(2), jnp.array([2.0, 0.0])
    >>> w = jnp.array([0.5, 0.5])
    >>> print(f"{ikl_jax.ikl_loss(n, m, w, alpha=20.0, beta=5.0):.4f}")
    13.4657
    """
    n, m = _prepare(logits, target_logits)
    if weights is None:
        w, factor = _sample_weights(m)
    else:
        w, factor = _prepare_weights(weights, logits), _ONE
    squared_error = _weighted_mse(n, m, w, factor)
    cross_entropy = _soft_ce(n, m, temperature, target_temperature)
    return (alpha * squared_error + beta * cross_entropy).astype(logits.dtype)


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
) -> Array:
    """Generalised KL (arXiv 2503.08038): IKL with weights w^gamma, normalised.

    The wMSE is divided by the mean of (sum_j w_j^gamma)^2 over the batch (all leading
    dimensions), so that the mean of what is returned is the published value. One
    example's loss therefore depends on its batch; under `vmap` the batch is what
    one call sees.

    Args:
      logits: `[..., C]`, the prediction n. Receives gradient from both terms.
      target_logits: `[..., C]`, the target m. Receives gradient from the wMSE only.
      weights: `[..., C]`, w >= 0, stopped. None takes softmax(target_logits).
      alpha: weight of the normalised wMSE, the paper's (the authors' code: beta).
      beta: weight of the soft cross-entropy (the authors' code: alpha).
      gamma: exponent >= 0 of the weights; 0 makes them uniform. Stopped.
      temperature: T > 0, of the prediction in the soft CE; no T^2 factor.
      target_temperature: T' > 0, of the target in the soft CE; None takes T.

    Returns:
      `[...]`, one value per example.

    Raises:
      ValueError: shapes differ, a temperature is not positive, gamma or a weight is
        negative.
      TypeError: logits or weights are not floating point.

    >>> import jax.numpy as jnp, ikl_jax
    >>> n, m = jnp.zeros((1, 2)), jnp.array([[2.0, 0.0]])
    >>> print(ikl_jax.gkl_loss(n, m, gamma=0.0, alpha=2.0, beta=0.0))
    [1.]
    """
    n, m = _prepare(logits, target_logits)
    checks.non_negative(gamma=gamma)
    if weights is None:  # in logarithms: a small gamma revives what underflows at 1
        w = jnp.exp(gamma * jax.nn.log_softmax(jax.lax.stop_gradient(m)))
    else:
        w = jnp.power(_prepare_weights(weights, logits), gamma)
    w = jax.lax.stop_gradient(w)  # with respect to gamma, too
    squared_total = jnp.mean(jnp.square(jnp.sum(w, axis=-1)))
    squared_error = _weighted_mse(n, m, w, _ONE) / _or_one(squared_total)
    cross_entropy = _soft_ce(n, m, temperature, target_temperature)
    return (alpha * squared_error + beta * cross_entropy).astype(logits.dtype)


def _prepare(logits: Array, target_logits: Array) -> tuple[Array, Array]:
    """Both logits, checked, in the dtype that the losses compute in."""
    logits, target_logits = jnp.asarray(logits), jnp.asarray(target_logits)
    checks.same_shape(logits=logits, target_logits=target_logits)
    checks.floating(logits=logits, target_logits=target_logits)
    checks.rank_at_least(1, logits=logits)
    if not logits.shape[-1]:
        raise ValueError(f"logits must have at least one class, got {logits.shape}")
    dtype = _compute_dtype(logits)
    return logits.astype(dtype), target_logits.astype(dtype)


def _prepare_weights(weights: Array, logits: Array) -> Array:
    weights = jnp.asarray(weights)
    checks.same_shape(weights=weights, logits=logits)
    checks.floating(weights=weights)
    checks.non_negative(weights=weights)
    return jax.lax.stop_gradient(weights.astype(_compute_dtype(logits)))


def _compute_dtype(logits: Array) -> jnp.dtype:
    return jnp.promote_types(logits.dtype, jnp.float32)


def _sample_weights(target_logits: Array) -> tuple[Array, Array]:
    """The stopped softmax of `target_logits`, as unnormalised weights and a factor."""
    m = jax.lax.stop_gradient(target_logits)
    w = jnp.exp(m - jnp.max(m, axis=-1, keepdims=True))
    return w, 1 / jnp.sum(w, axis=-1, keepdims=True)


def _soft_ce(
    n: Array,
    m: Array,
    temperature: Scalar = 1.0,
    target_temperature: Scalar | None = None,
) -> Array:
    if target_temperature is None:
        target_temperature = temperature
    checks.positive(temperature=temperature, target_temperature=target_temperature)
    m = jax.lax.stop_gradient(m)
    return _soft_cross_entropy(n / temperature, m / target_temperature)


def _or_one(x: Array) -> Array:
    """`x`, or 1 where it is zero: a denominator for what is zero there anyway."""
    return jnp.where(x > 0, x, jnp.ones_like(x))


@jax.custom_jvp
def _kl(n: Array, m: Array) -> Array:
    return _kl_and_gradients(n, m)[0]


@_kl.defjvp
def _kl_jvp(
    primals: tuple[Array, Array], tangents: tuple[Array, Array]
) -> tuple[Array, Array]:
    value, *gradients = _kl_and_gradients(*primals)
    products = [g * t for g, t in zip(gradients, tangents, strict=True)]
    return value, jnp.sum(products[0] + products[1], axis=-1)


def _kl_and_gradients(n: Array, m: Array) -> tuple[Array, Array, Array]:
    q, log_sum_q = _softmax_and_log_sum(n)
    p, log_sum_p = _softmax_and_log_sum(m)
    log_ratio = (m - n) - (log_sum_p - log_sum_q)
    # sum p r, r = log(p / q), plus sum (q - p), which is zero: now no term is negative,
    # and with p (r + exp(-r) - 1) as a series nothing cancels where p is close to q.
    close = jnp.abs(log_ratio) < 0.5
    terms = jnp.where(
        close,
        p * _exp_remainder(jnp.where(close, log_ratio, 0.0)),
        p * log_ratio + (q - p),
    )
    value = jnp.sum(terms, axis=-1)
    # p (r - KL), whose sum is zero; what rounding leaves of it is taken out again.
    gradient = p * (log_ratio - value[..., None])
    gradient -= p * jnp.sum(gradient, axis=-1, keepdims=True)
    return value, q - p, gradient


def _softmax_and_log_sum(x: Array) -> tuple[Array, Array]:
    top = jnp.max(x, axis=-1, keepdims=True)
    unnormalised = jnp.exp(x - top)
    total = jnp.sum(unnormalised, axis=-1, keepdims=True)
    return unnormalised * (1 / total), top + jnp.log(total)


def _exp_remainder(r: Array) -> Array:
    """r + exp(-r) - 1 = r^2/2! - r^3/3! + ..., to float64 precision for |r| < 0.5."""
    series = jnp.ones_like(r)
    for k in range(16, 2, -1):
        series = 1.0 - series * r / k
    return 0.5 * jnp.square(r) * series


@jax.custom_vjp
def _weighted_mse(n: Array, m: Array, w: Array, factor: Array | float) -> Array:
    """The wMSE with weights factor * w, `[..., C]` and `[..., 1]` or a number."""
    return _weighted_mse_forward(n, m, w, factor)[0]


def _weighted_mse_forward(
    n: Array, m: Array, w: Array, factor: Array | float
) -> tuple[Array, Array]:
    total = jnp.sum(w, axis=-1, keepdims=True)
    difference = m - n
    mean = jnp.sum(w * difference, axis=-1, keepdims=True) / _or_one(total)
    # The corrected two-pass variance: the mean's rounding, which is that of a large
    # difference, would otherwise be the whole answer where one class has all weight.
    centred = difference - mean
    residue = jnp.sum(w * centred, axis=-1, keepdims=True) / _or_one(total)
    squares = jnp.sum(w * jnp.square(centred), axis=-1, keepdims=True)
    scale = factor * factor * total
    value = 0.5 * scale * (squares - total * jnp.square(residue))
    return jnp.squeeze(value, axis=-1), scale * w * (centred - residue)


def _weighted_mse_backward(
    gradient: Array, cotangent: Array
) -> tuple[Array, Array, None, None]:
    gradient = cotangent[..., None] * gradient
    return -gradient, gradient, None, None


_weighted_mse.defvjp(_weighted_mse_forward, _weighted_mse_backward)


@jax.custom_vjp
def _soft_cross_entropy(n: Array, m: Array) -> Array:
    return _soft_cross_entropy_forward(n, m)[0]


def _soft_cross_entropy_forward(n: Array, m: Array) -> tuple[Array, Array]:
    # Written for the number of arrays that XLA keeps between its passes: exp(m - max)
    # alone, shared with the wMSE's sample weights and normalised by a product, since a
    # quotient would be kept too. softmax(n) is computed again from its normaliser,
    # whose rounding (that of a large logit) is added back.
    top_n = jnp.max(n, axis=-1, keepdims=True)
    top_m = jnp.max(m, axis=-1, keepdims=True)
    unnormalised_p = jnp.exp(m - top_m)
    sum_p = jnp.sum(unnormalised_p, axis=-1, keepdims=True)
    log_sum_q = jnp.log(jnp.sum(jnp.exp(n - top_n), axis=-1, keepdims=True))
    expected = jnp.sum(unnormalised_p * (n - top_n), axis=-1, keepdims=True) / sum_p

    normaliser = top_n + log_sum_q
    rounding = (normaliser - top_n) - log_sum_q
    gradient = jnp.exp((n - normaliser) + rounding) - unnormalised_p * (1 / sum_p)
    return jnp.squeeze(log_sum_q - expected, axis=-1), gradient


def _soft_cross_entropy_backward(
    gradient: Array, cotangent: Array
) -> tuple[Array, None]:
    return cotangent[..., None] * gradient, None


_soft_cross_entropy.defvjp(_soft_cross_entropy_forward, _soft_cross_entropy_backward)
