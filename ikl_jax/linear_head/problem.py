"""The arguments of a loss, checked, and the passes that compute it."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ikl_jax import checks
from ikl_jax.divergences.raised_weights import log_mean
from ikl_jax.linear_head import arguments, passes, varying
from ikl_jax.linear_head.heads import Grouped, Head, TopK, TopKWithRest
from ikl_jax.linear_head.layout import Layout
from ikl_jax.linear_head.passes import Plan
from ikl_jax.linear_head.products import Linear
from ikl_jax.linear_head.rows import Affine, Dense, GklTotals, Terms
from ikl_jax.types import Array, Scalar

Target = Head | TopK | TopKWithRest | Array
Where = Array | tuple[Array, ...] | None


@dataclasses.dataclass(frozen=True)
class Problem:
    """A student's head and a target, checked.

    Attributes:
      heads: hidden states and kernel of the student and, if it has some, the target.
      terms: all else that a loss depends on, its scalars excepted.
      layout: of the tokens.
    """

    heads: tuple[Linear, ...]
    terms: Terms
    layout: Layout

    @classmethod
    def create(
        cls,
        student: Head,
        target: Target,
        *,
        weights: Array | Grouped | None = None,
        where: Where = None,
        chunk_size: int | None = None,
    ) -> "Problem":
        """The problem of the arguments of a loss.

        Raises:
          ValueError: shapes do not fit each other, or a known value is out of range.
          TypeError: a dtype or the type of an argument is not one that is allowed.
        """
        linear, affine = arguments.head("student", student)
        tokens, classes = len(linear.hidden), linear.kernel.shape[1]
        heads, side = (linear,), target
        if isinstance(target, Head):
            of_target, side = arguments.head("target", target)
            arguments.same_vocabulary(linear, of_target)
            heads = (linear, of_target)
        elif isinstance(target, TopK | TopKWithRest):
            side = arguments.top_k(target, tokens, classes, linear.sum_dtype)
        else:
            side = arguments.target_logits(target, (tokens, classes))
        checked = arguments.weights(weights, tokens, classes)
        masks = arguments.masks(where, (tokens, classes))
        terms = Terms(affine, side, checked, masks, {})
        size = arguments.chunk_size(chunk_size)
        return cls(heads, terms, Layout.create(tokens, classes, size))

    @property
    def dtype(self) -> jnp.dtype:
        """The dtype of the losses."""
        return self.heads[0].sum_dtype

    def with_stopped_target(self) -> "Problem":
        """The problem, in which the target receives no gradient."""
        stopped = jax.lax.stop_gradient((self.heads[1:], self.terms.target))
        terms = self.terms._replace(target=stopped[1])
        return dataclasses.replace(
            self, heads=(self.heads[0], *stopped[0]), terms=terms
        )

    def losses(
        self,
        loss: Callable[..., Array],
        example_weights: Array | None,
        **scalars: Scalar | None,
    ) -> Array:
        """The losses `[T]`, or their sum if there are example weights.

        Args:
          loss: of rows of logits, as those in `ikl_jax.divergences`.
          example_weights: `[T]`, or None.
          scalars: arguments of the loss, each a scalar or `[T]`; None: not given.
        """
        terms = self._with_scalars(scalars)
        is_live = self._is_live()
        if example_weights is None:
            found = self._pass(passes.token_losses, Dense(loss), self.heads, terms)
            return jnp.where(is_live, found, 0.0)
        given = checks.as_array(example_weights=example_weights)
        checks.shaped((self.layout.tokens,), example_weights=given)
        (each,) = self.per_token(example_weights=given)
        each = jnp.where(is_live, each, 0.0)
        return self._pass(passes.weighted_sum, Dense(loss), self.heads, terms, each)

    def log_normalizer(self, gamma: Scalar) -> Array:
        """The logarithm of the mean over the tokens that divides GKL's squared error.

        It takes a pass of its own, with a product of the target's head if it is one.
        """
        terms = self._with_scalars({"gamma": gamma})
        formula = GklTotals(self.heads[0].kernel.shape[1], self.dtype)
        heads, terms = jax.lax.stop_gradient((self.heads[1:], terms))
        return log_mean(self._pass(passes.token_losses, formula, heads, terms))

    def per_token(self, **values: Scalar) -> list[Array]:
        """The named values, checked: each a scalar or `[T]`."""
        batch, found = (self.layout.tokens,), []
        for name, value in values.items():
            array = checks.as_array(**{name: value})
            shape = () if array.ndim == 0 else batch
            checks.per_example(batch, self.dtype, name, array)
            found.append(checks.per_example(shape, self.dtype, name, array))
        return found

    def _pass(
        self, run: Callable[..., Array], formula: Any, heads: Any, terms: Terms,
        *others: Array,
    ) -> Array:  # fmt: skip
        if not self.layout.tokens:
            return jnp.zeros((), self.dtype) if others else jnp.zeros(0, self.dtype)
        leaves, structure = jax.tree.flatten(terms)
        is_row = tuple(jax.tree.leaves(_is_row(terms, self.layout.tokens)))
        plan = Plan(formula, structure, is_row, self.layout, self.dtype)
        arrays = (heads, leaves, *others)
        return run(plan, *varying.over(varying.axes(arrays), arrays))

    def _with_scalars(self, scalars: dict[str, Scalar | None]) -> Terms:
        given = {name: x for name, x in scalars.items() if x is not None}
        return self.terms._replace(
            scalars=dict(zip(given, self.per_token(**given), strict=True))
        )

    def _is_live(self) -> Array:
        """`[T]` or `[1]`: False for a token that a mask leaves out whole."""
        found = jnp.ones(1, bool)
        for mask in self.terms.where:
            found = found & jnp.any(mask, axis=1)
        return found


def _is_row(terms: Terms, tokens: int) -> Any:
    """Whether each array of the terms has a row for each token, as a tree like them."""
    nowhere: Any = jax.tree.map(lambda _: False, terms)
    of_target = not isinstance(terms.target, Affine)
    if isinstance(terms.weights, Grouped):
        nowhere = nowhere._replace(weights=nowhere.weights._replace(groups=True))
    return nowhere._replace(
        target=jax.tree.map(lambda _: of_target, terms.target),
        where=tuple(len(mask) == tokens for mask in terms.where),
        scalars={name: value.ndim == 1 for name, value in terms.scalars.items()},
    )
