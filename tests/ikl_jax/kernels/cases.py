"""The losses in both forms, and the inputs that they are compared on."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

import ikl_jax
from ikl_jax import kernels

INTERPRETED = kernels.Mosaic(interpret=True)
IN_BLOCKS = kernels.Mosaic(classes=128, interpret=True)
READ_AGAIN = dataclasses.replace(IN_BLOCKS, memory=1 << 20, classes=4096)
ON_GPU = kernels.Triton(classes=128, interpret=True)
FORMS = {
    "whole rows": INTERPRETED,
    "blocks of classes": IN_BLOCKS,
    "rows of a GPU": ON_GPU,
}
# The loss, and whether it takes weights of the squared error.
NAMES = {
    "kl_divergence": False,
    "soft_cross_entropy": False,
    "kd_loss": False,
    "dkl_loss": False,
    "ikl_loss": True,
    "gkl_loss": True,
}


@dataclasses.dataclass(frozen=True)
class Case:
    """Inputs of a loss.

    Attributes:
      shape: of the logits.
      dtypes: of both logits.
      weights: "none", "shared" or "rows".
      where: None, or the shape of the mask.
      scale: of the logits.
      is_odd: whether rows hold what has no loss: NaN and infinities.
    """

    shape: tuple[int, ...] = (13, 300)
    dtypes: tuple = (jnp.float32, jnp.float32)
    weights: str = "none"
    where: tuple[int, ...] | None = None
    scale: float = 3.0
    is_odd: bool = False

    def logits(self):
        rng = np.random.default_rng(0)
        n, m = (self.scale * rng.normal(size=self.shape) for _ in range(2))
        if self.is_odd:
            odd(n, m)
        return [jnp.asarray(x, to) for x, to in zip((n, m), self.dtypes, strict=True)]

    def options(self, name):
        """Keyword arguments of the library's loss, and those of the kernel's."""
        rng = np.random.default_rng(1)
        found, ours = {}, {}
        if self.where is not None:
            found["where"] = jnp.asarray(rng.random(self.where) < 0.7)
        if NAMES[name] and self.weights != "none":
            rows = self.shape if self.weights == "rows" else self.shape[-1:]
            w = jnp.asarray(rng.dirichlet(np.ones(rows[-1]), rows[:-1]), jnp.float32)
            found["weights"], ours["weights"] = jnp.broadcast_to(w, self.shape), w
        return found, found | ours


def odd(n, m):
    """Rows with what takes no part, has no loss, or has an infinite one."""
    n[0, :3] = m[0, :3] = -np.inf
    m[1, 4:] = -np.inf
    n[2, 5] = -np.inf
    n[3], m[3] = -np.inf, -np.inf
    n[4, 1] = np.nan
    m[5, 2] = np.inf
    n[6], m[6] = n[6] + 1e5, m[6] - 1e5
    m[7] = n[7] * (1 + 1e-6)


CASES = {
    "plain": Case(),
    "half precision": Case((21, 130), (jnp.bfloat16, jnp.bfloat16), "rows"),
    "two dtypes, few rows": Case((3, 257), (jnp.float32, jnp.bfloat16), "shared"),
    "three dimensions": Case((2, 5, 140), weights="shared"),
    "mask of classes": Case((9, 200), where=(200,), weights="rows"),
    "mask of all entries": Case((40, 129), where=(40, 129), weights="shared"),
    "mask of rows": Case((11, 256), where=(11, 1)),
    "extreme logits": Case((8, 128), scale=1e4, weights="rows"),
    "odd rows": Case((8, 150), is_odd=True),
    "one row": Case((384,), weights="rows"),
    "one class": Case((10, 1)),
}


def scalars(name, batch):
    """One value an example for the scalars of a loss that receive gradient."""
    rng = np.random.default_rng(2)
    found = {} if name == "dkl_loss" else {"temperature": rng.uniform(0.7, 3.0, batch)}
    if name in ("dkl_loss", "ikl_loss", "gkl_loss"):
        found["alpha"] = rng.uniform(0.5, 2.0, batch)
    return {key: jnp.asarray(value, jnp.float32) for key, value in found.items()}


def losses(name, case, form=INTERPRETED):
    """The loss of `ikl_jax` and that of `ikl_jax.kernels`, of both logits and scalars."""
    theirs, ours = case.options(name)
    if name == "gkl_loss":
        theirs, ours = theirs | {"gamma": 0.6}, ours | {"gamma": 0.6}
    dense = functools.partial(getattr(ikl_jax, name), **theirs)
    kernel = functools.partial(getattr(kernels, name), form=form, **ours)
    return [lambda n, m, values, of=of: of(n, m, **values) for of in (dense, kernel)]


def values_and_gradients(loss, n, m, values):
    """The losses, and the gradients of their sum with weights that differ."""
    weights = jnp.linspace(0.0, 2.0, int(np.prod(n.shape[:-1]))).reshape(n.shape[:-1])

    def total(*arguments):
        found = loss(*arguments)
        return (jnp.where(weights > 0, found, 0) * weights).sum(), found

    (_, found), gradients = jax.value_and_grad(total, (0, 1, 2), has_aux=True)(
        n, m, values
    )
    return found, gradients
