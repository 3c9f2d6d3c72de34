"""The arguments of a loss, checked, and what is computed of them."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ikl_jax import checks
from ikl_jax.divergences.inputs import checked_mask
from ikl_jax.divergences.raised_weights import log_mean
from ikl_jax.kernels import reverse_mode
from ikl_jax.kernels.chosen import Chosen
from ikl_jax.kernels.forms import Form
from ikl_jax.kernels.rows import GklTotals, Loss, Plan, Terms
from ikl_jax.types import Array, Scalar, compute_dtype


class Problem(NamedTuple):
    """What a loss depends on, its scalars excepted.

    Attributes:
      terms: of all rows.
      batch: the leading dimensions of the logits, which became one.
      form: what computes the rows.
    """

    terms: Terms
    batch: tuple[int, ...]
    form: Form

    @classmethod
    def create(
        cls,
        logits: Array,
        target_logits: Array,
        *,
        weights: Array | None = None,
        where: Array | None = None,
        form: Form | None = None,
    ) -> "Problem":
        """The problem of the arguments of a loss.

        Raises:
          ValueError: shapes do not fit, or a known weight is negative.
          TypeError: arrays are not floating point, the mask is not boolean, or the form
            is none.
        """
        n = checks.as_array(logits=logits)
        m = checks.as_array(target_logits=target_logits)
        checks.same_shape(logits=n, target_logits=m)
        checks.floating(logits=n, target_logits=m)
        checks.rank_at_least(1, logits=n)
        if not n.shape[-1]:
            raise ValueError(
                f"logits must have at least one class, got shape {n.shape}"
            )
        if form is None:
            form = Chosen()
        if not callable(form):
            raise TypeError(
                "form must be None, Chosen(), Mosaic(), Triton() or Xla(), got "
                f"{form!r}"
            )
        n2, m2 = (x.reshape(-1, x.shape[-1]) for x in (n, m))
        w = None if weights is None else _weights(weights, n.shape)
        mask = None if where is None else _mask(where, n.shape)
        return cls(Terms(n2, m2, w, mask, {}), n.shape[:-1], form)

    @property
    def dtype(self) -> jnp.dtype:
        """The dtype in which the losses are computed."""
        return compute_dtype(self.terms.logits.dtype)

    def with_stopped_target(self) -> "Problem":
        """The problem, in which the target receives no gradient."""
        stopped = jax.lax.stop_gradient(self.terms.target)
        return self._replace(terms=self.terms._replace(target=stopped))

    def losses(
        self,
        loss: Callable[..., Array],
        example_weights: Array | None,
        **scalars: Scalar | None,
    ) -> Array:
        """The losses `[...]`, or their sum if there are example weights.

        Args:
          loss: of rows of logits, as those in `ikl_jax.divergences`.
          example_weights: `[...]`, or None.
          scalars: arguments of the loss, each a scalar or `[...]`; None: not given.
        """
        terms = self._with(scalars)
        leaves, structure = jax.tree.flatten(terms)
        plan = Plan(Loss(loss), structure)
        if example_weights is None:
            found = jnp.zeros((0, 1), self.dtype)
            if len(terms.logits):
                found = reverse_mode.row_losses(self.form, plan, leaves)
            return found.reshape(self.batch).astype(terms.logits.dtype)
        given = checks.as_array(example_weights=example_weights)
        checks.shaped(self.batch, example_weights=given)
        each = self._column(example_weights=given)
        if not len(each):
            return jnp.zeros((), self.dtype)
        return reverse_mode.weighted_sum(self.form, plan, leaves, each)

    def log_normalizer(self, gamma: Scalar) -> Array:
        """The logarithm of the mean over the batch that divides GKL's squared error."""
        terms = jax.lax.stop_gradient(self._with({"gamma": gamma}))
        leaves, structure = jax.tree.flatten(terms)
        if not len(terms.logits):
            return jnp.zeros((), self.dtype)
        return log_mean(self.form(Plan(GklTotals(), structure).values, leaves)[0])

    def _with(self, scalars: dict[str, Scalar | None]) -> Terms:
        given = {name: x for name, x in scalars.items() if x is not None}
        columns = {name: self._column(**{name: x}) for name, x in given.items()}
        return self.terms._replace(scalars=columns)

    def _column(self, **value: Scalar) -> Array:
        """The one named value, checked: a scalar or `[...]`, as `[B, 1]`."""
        ((name, given),) = value.items()
        return checks.per_example(self.batch, self.dtype, name, given).reshape(-1, 1)


def _weights(given: Array, shape: tuple[int, ...]) -> Array:
    """Weights of the squared error, `[B or 1, C]`, stopped."""
    w = checks.as_array(weights=given)
    checks.floating(weights=w)
    if w.shape not in (shape, shape[-1:]):
        raise ValueError(
            f"weights must have the logits' shape {shape}, or {shape[-1:]}, which all "
            f"examples share, got {w.shape}"
        )
    checks.none_negative(weights=w)
    return jax.lax.stop_gradient(w.reshape(-1, shape[-1]))


def _mask(given: Array, shape: tuple[int, ...]) -> Array:
    """The mask, `[B or 1, C or 1]`: of int8 if it has all entries, else of int32."""
    mask = checked_mask(given, shape)
    mask = mask.reshape((1,) * (len(shape) - mask.ndim) + mask.shape)
    if any(size != 1 for size in mask.shape[:-1]):
        mask = jnp.broadcast_to(mask, (*shape[:-1], mask.shape[-1]))
    mask = mask.reshape(-1, mask.shape[-1])
    is_whole = min(mask.shape) > 1
    return mask.astype(jnp.int8 if is_whole else jnp.int32)
