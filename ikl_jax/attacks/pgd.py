"""Projected gradient descent (ascent on a loss) in l-infinity, l2 and l1 balls.

Reference: Madry et al., "Towards Deep Learning Models Resistant to Adversarial
Attacks", https://arxiv.org/abs/1706.06083, 2018.
"""

import jax
import jax.numpy as jnp

from ikl_jax import checks
from ikl_jax.attacks.common import arguments, assumptions, geometry, loops
from ikl_jax.attacks.common.keys import example_keys
from ikl_jax.types import Array, LossFn, Scalar


def pgd(
    loss_fn: LossFn,
    x: Array,
    *,
    epsilon: Scalar,
    step_size: Scalar,
    steps: int,
    norm: str = "linf",
    bounds: geometry.Bounds = (0.0, 1.0),
    x_init: Array | None = None,
    key: Array | None = None,
    unroll: int | None = None,
) -> Array:
    """Searches the epsilon-ball around `x` for a high loss.

    Each step goes `step_size` along the steepest direction of the norm (the gradient's
    sign for l-infinity, the normalised gradient for l2, its largest entry for l1), then
    back into the ball and the bounds. In l1, what the largest entry cannot move within
    the bounds, the next ones move. Compute what does not depend on the perturbed
    input, such as the natural logits of a divergence, once and outside of `loss_fn`.

    Entries of the gradient that are not numbers count as zero: an example whose whole
    gradient is not a number stays at its last point. If `x` has half precision, the
    loss sees inputs of that dtype, and the steps are made in float32. What leaves the
    ball by rounding is rounded towards `x`. So the perturbation is a little smaller
    than epsilon; for all of it, give `x` in float32 and convert it in `loss_fn`.

    Args:
      loss_fn: `[B, ...]` to `[B]`, the loss to increase, each example's depending on
        its own input only.
      x: `[B, ...]`, floating point, within `bounds`.
      epsilon: radius of the ball, >= 0, in the units of `x` (pixels in [0, 1]).
      step_size: length of one step, >= 0, in the same norm and units.
      steps: number of steps, >= 0.
      norm: "linf", "l2" or "l1".
      bounds: the valid range of inputs.
      x_init: `[B, ...]`, where to start. It is used as it is, and brought into the ball
        only after the first step (TRADES starts at `x` plus small noise). If it is
        given, `key` has no effect.
      key: one key, folded with each row's index, or `[B]` keys, one for each example:
        start at a uniform sample of the ball. Without `x_init` and `key`, start at `x`.
      unroll: steps in one iteration of the compiled loop; with `steps` there is no
        loop. It changes the speed, and results by no more than rounding. None: no loop
        on CPU, where XLA runs the gradient of a convolution inside a loop up to 28
        times slower, and a loop of single steps elsewhere. For very many steps on CPU,
        call `pgd` again from where it stopped (`x_init`).

    Returns:
      `[B, ...]`, where it ends, in the ball and the bounds. No gradient flows through.

    Raises:
      ValueError: epsilon, step_size or steps negative, not one number each or steps
        not an integer, unknown norm, bounds reversed, `x` outside of them (where it is
        known), `x_init` of another shape, or a loss that is not one value per example.
      TypeError: `x` is not floating point, or `key` is no random key.

    Examples:
      >>> import jax.numpy as jnp, ikl_jax
      >>> x = jnp.array([[0.2, 0.5], [0.9, 0.5]])
      >>> slope = jnp.array([1.0, -2.0])
      >>> linear = lambda x: x @ slope
      >>> print(ikl_jax.attacks.pgd(linear, x, epsilon=0.25, step_size=0.1, steps=5))
      [[0.45 0.25]
       [1.   0.25]]
    """
    x = jnp.asarray(x)
    geometry_of = geometry.norm_named(norm)
    checks.floating(x=x)
    checks.rank_at_least(1, x=x)
    arguments.numbers(epsilon=epsilon, step_size=step_size)
    checks.non_negative(epsilon=epsilon, step_size=step_size)
    arguments.counts(0, steps=steps)
    geometry.check_bounds(bounds, x)
    assumptions.warn(assumptions.covers_bounds(x.shape, epsilon, norm, bounds))
    assumptions.warn(assumptions.too_fine(x.dtype, epsilon, norm, bounds))

    # Half precision would lose small steps, and counts and sums would overflow.
    dtype = jnp.promote_types(x.dtype, jnp.float32)
    center = x.astype(dtype)
    epsilon, step_size = (jnp.asarray(v, dtype) for v in (epsilon, step_size))

    def step(x_adv: Array, _: Array) -> Array:
        loss = lambda x_adv: _total(loss_fn, x_adv)
        gradient = jax.grad(loss)(_rounded(x_adv, x)).astype(dtype)
        # What is not a number would spoil all later steps.
        gradient = jnp.where(jnp.isnan(gradient), 0.0, gradient)
        x_adv = geometry_of.climb(x_adv, gradient, step_size, bounds)
        return geometry.into(x_adv, center, epsilon, geometry_of, bounds)

    start = _start(center, epsilon, geometry_of, bounds, x_init, key)
    if steps == 0:
        start = geometry.into(start, center, epsilon, geometry_of, bounds)
    end = loops.repeat(step, start, steps, unroll=unroll)
    return jax.lax.stop_gradient(_rounded(end, x))


def _start(
    x: Array,
    epsilon: Scalar,
    norm: geometry.Norm,
    bounds: geometry.Bounds,
    x_init: Array | None,
    key: Array | None,
) -> Array:
    if x_init is not None:
        x_init = jnp.asarray(x_init)
        checks.same_shape(x_init=x_init, x=x)
        return x_init.astype(x.dtype)
    if key is None:
        return x
    keys = example_keys(key, len(x))
    noise = jax.vmap(lambda key: norm.sample(key, x.shape[1:]))(keys)
    noise = (epsilon * noise).astype(x.dtype)
    return geometry.into(x + noise, x, epsilon, norm, bounds)


def _rounded(x_adv: Array, x: Array) -> Array:
    """In the dtype of `x`; what is rounded away from `x` is rounded towards it.

    So it stays in the ball and the bounds.
    """
    if x_adv.dtype == x.dtype:
        return x_adv
    rounded = x_adv.astype(x.dtype)
    center = x.astype(x_adv.dtype)
    farther = jnp.abs(rounded.astype(x_adv.dtype) - center) > jnp.abs(x_adv - center)
    return jnp.where(farther, jnp.nextafter(rounded, x), rounded)


def _total(loss_fn: LossFn, x: Array) -> Array:
    losses = loss_fn(x)
    if losses.shape != x.shape[:1]:
        raise ValueError(
            f"loss_fn must return one loss per example, shape {x.shape[:1]}, "
            f"got {losses.shape}"
        )
    return jnp.sum(losses)
