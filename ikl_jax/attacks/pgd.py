"""Projected gradient descent (ascent on a loss) in l-infinity, l2 and l1 balls.

Reference: Madry et al., "Towards Deep Learning Models Resistant to Adversarial
Attacks", https://arxiv.org/abs/1706.06083, 2018.
"""

import jax
import jax.numpy as jnp

from ikl_jax import checks
from ikl_jax.attacks.common import geometry, loops
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
    back into the ball and the bounds. Compute what does not depend on the perturbed
    input, such as the natural logits of a divergence, once and outside of `loss_fn`.

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
      ValueError: epsilon, step_size or steps negative, unknown norm, bounds reversed,
        `x` outside of them (where it is known), `x_init` of another shape, or a loss
        that is not one value per example.
      TypeError: `x` is not floating point.

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
    checks.non_negative(epsilon=epsilon, step_size=step_size, steps=steps)
    geometry.check_bounds(bounds, x)
    if x_init is not None:
        checks.same_shape(x_init=x_init, x=x)

    def step(x_adv: Array, _: Array) -> Array:
        gradient = jax.grad(lambda x_adv: _total(loss_fn, x_adv))(x_adv)
        x_adv = x_adv + step_size * geometry_of.steepest(gradient)
        x_adv = geometry.into(x_adv, x, epsilon, geometry_of, bounds)
        return x_adv.astype(x.dtype)

    start = _start(x, epsilon, geometry_of, bounds, x_init, key)
    if steps == 0:
        start = geometry.into(start, x, epsilon, geometry_of, bounds)
    return jax.lax.stop_gradient(loops.repeat(step, start, steps, unroll=unroll))


def _start(
    x: Array,
    epsilon: Scalar,
    norm: geometry.Norm,
    bounds: geometry.Bounds,
    x_init: Array | None,
    key: Array | None,
) -> Array:
    if x_init is not None:
        return x_init.astype(x.dtype)
    if key is None:
        return x
    keys = example_keys(key, len(x))
    noise = jax.vmap(lambda key: norm.sample(key, x.shape[1:]))(keys)
    return geometry.into(
        x + (epsilon * noise).astype(x.dtype), x, epsilon, norm, bounds
    )


def _total(loss_fn: LossFn, x: Array) -> Array:
    losses = loss_fn(x)
    if losses.shape != x.shape[:1]:
        raise ValueError(
            f"loss_fn must return one loss per example, shape {x.shape[:1]}, "
            f"got {losses.shape}"
        )
    return jnp.sum(losses)
