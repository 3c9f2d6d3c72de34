"""Attacks: searches around an input for one that a model gets wrong.

All attacks keep to one contract.

- **What is attacked** is a function. `pgd` takes `loss_fn`, inputs `[B, ...]` to losses
  `[B]`, and increases the loss. All others take `logits_fn`, inputs `[B, ...]` to
  logits `[B, C]`, and labels `[B]`. The value for an example may depend on its own
  input only. Arrays that a logits function closes over become arguments of the compiled
  programs, and no gradient flows to them.
- **Inputs** `x` are floating point and lie in [0, 1]; `pgd` takes other `bounds` too.
  `epsilon` is in the units of `x`, and `norm` is "linf", "l2" or "l1".
- **Results** lie in the ball and within the bounds, and no gradient flows through them.
  `pgd` returns the inputs that it ends at. `apgd`, `fab` and `square` return an
  `AttackResult` (`x_adv`, `broken`, `distance`, `queries`), `distances` an array `[N]`,
  and `autoattack` a `Result` (`x_adv`, `robust`, `stages` and more).
- **Random numbers** belong to an example: `key` is one key, which is folded with the
  row's index, or one key for each example. `autoattack` takes one key and folds it with
  the content of each example. `fab` and `distances` draw none.
- **Under `jit`, `grad` and `vmap`** call `pgd` and `fab` as you like. `apgd`, `square`,
  `distances` and `autoattack` run several compiled programs and decide between them in
  Python. Inside of `jit`, `grad` or `vmap` they raise a `TypeError` that says so, at
  once and in the same words.
- **Bad arguments** raise a `ValueError` or a `TypeError` that names the argument, its
  value and what is allowed. Values that `jit` traces are not known and not checked.
"""

from ikl_jax.attacks.apgd import apgd
from ikl_jax.attacks.common import geometry, losses
from ikl_jax.attacks.common.attack import AttackResult
from ikl_jax.attacks.ensemble.autoattack import autoattack
from ikl_jax.attacks.ensemble.distances import distances
from ikl_jax.attacks.fab import fab
from ikl_jax.attacks.pgd import pgd
from ikl_jax.attacks.square import square

__all__ = [
    "AttackResult",
    "apgd",
    "autoattack",
    "distances",
    "fab",
    "geometry",
    "losses",
    "pgd",
    "square",
]
