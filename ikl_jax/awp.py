"""Adversarial weight perturbation (AWP): moves the weights towards a higher loss.

Reference: Wu et al., "Adversarial Weight Perturbation Helps Robust Generalization",
https://arxiv.org/abs/2004.05884, 2020, Eqs. 8 and 9.
"""

import jax
import jax.numpy as jnp

from ikl_jax import checks
from ikl_jax.types import Array, PyTree, Scalar


def perturb(params: PyTree, grads: PyTree, gamma: Scalar) -> PyTree:
    """Moves each weight tensor by gamma times its own norm along its gradient.

    A leaf of two or more dimensions becomes `leaf + gamma * ||leaf|| * g / ||g||`, with
    Frobenius norms. Leaves of fewer dimensions (biases, BatchNorm) do not change, and
    neither does a leaf whose gradient is zero.

    Take the training gradient at the returned weights, and apply it to the original
    ones. So there is no proxy model, and nothing to restore:

        attacked = awp.perturb(params, jax.grad(loss)(params), gamma=0.005)
        grads = jax.grad(loss)(attacked)  # goes to the optimiser, with `params`

    Args:
      params: a pytree of arrays.
      grads: the gradient of the loss to increase, of the same structure and shapes.
      gamma: relative size of the perturbation, >= 0; the paper takes 0.005 to 0.01.

    Returns:
      A pytree like `params`, with the same dtypes. Gradients flow through it: use
      `jax.lax.stop_gradient` if they should not.

    Raises:
      ValueError: gamma is negative, or the trees' structures or shapes differ.

    Examples:
      >>> import jax.numpy as jnp, ikl_jax
      >>> params = {"kernel": jnp.full((1, 1), 2.0), "bias": jnp.ones(1)}
      >>> grads = {"kernel": jnp.full((1, 1), -7.0), "bias": jnp.ones(1)}
      >>> moved = ikl_jax.awp.perturb(params, grads, gamma=0.5)
      >>> print(moved["kernel"], moved["bias"])
      [[1.]] [1.]
    """
    checks.non_negative(gamma=gamma)

    def move(path: tuple, leaf: Array, grad: Array) -> Array:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        checks.same_shape(**{f"params {name}": leaf, f"grads {name}": grad})
        if leaf.ndim < 2:
            return leaf
        dtype = jnp.promote_types(leaf.dtype, jnp.float32)
        direction = _unit(grad.astype(dtype))
        step = gamma * jnp.linalg.norm(leaf.astype(dtype)) * direction
        return (leaf.astype(dtype) + step).astype(leaf.dtype)

    return jax.tree_util.tree_map_with_path(move, params, grads)


def _unit(grad: Array) -> Array:
    """grad / ||grad||, or zero for a zero gradient; squares cannot underflow."""
    largest = jnp.max(jnp.abs(grad))
    scaled = grad / jnp.where(largest > 0, largest, 1.0)
    norm = jnp.linalg.norm(scaled)  # no ravel: it would gather an array that is sharded
    return scaled / jnp.where(norm > 0, norm, 1.0)
