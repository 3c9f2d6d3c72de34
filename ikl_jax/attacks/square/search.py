"""The Square Attack as an attack of the ensemble: the search and its programs.

References: Andriushchenko et al., "Square Attack: a query-efficient black-box
adversarial attack via random search", https://arxiv.org/abs/1912.00049, 2020; in an l1
ball, Croce & Hein, https://arxiv.org/abs/2103.01208, 2021.
"""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ikl_jax import checks
from ikl_jax.attacks.common import arguments, geometry, losses
from ikl_jax.attacks.common.attack import Found
from ikl_jax.attacks.common.classifier import Classifier, Constants
from ikl_jax.attacks.common.keys import fold_each
from ikl_jax.attacks.common.rows import choose
from ikl_jax.attacks.square import linf, pyramids, windows
from ikl_jax.types import Array

PROPOSALS: dict[str, windows.Proposals] = {
    "linf": linf.Signs(),
    "l2": pyramids.L2,
    "l1": pyramids.L1,
}
# Iterations in one call of a compiled program, whose random numbers are drawn at once.
# Results do not depend on it.
CHUNK = 100


class State(NamedTuple):
    """The state of a search.

    Attributes:
      x_adv: `[B, h, w, K]`, the best input so far, or the first misclassified one.
      loss: `[B]`, its margin.
      broken: `[B]`, whether it is misclassified; the search for that example then ends.
      queries: `[B]`, the number of perturbed inputs that were looked at.
    """

    x_adv: Array
    loss: Array
    broken: Array
    queries: Array


@dataclasses.dataclass(frozen=True)
class Square:
    """The Square Attack as an `attacks.common.attack.Attack`; it ignores targets.

    A proposal is kept if it raises the margin or is misclassified. Each example draws
    its own windows and signs from its own key, folded with the query's number, so that
    its result depends neither on the rest of the batch nor on its order. (The reference
    draws one window and one pattern of signs for the whole batch.) The search ends as
    soon as all examples of the batch are broken.

    Attributes:
      classifier: the classifier.
      epsilon: radius of the ball, > 0, in the units of x.
      norm: "linf", "l2" or "l1".
      queries: the number of perturbed inputs to look at, with the start, >= 1.
      p_init: the share of the image's area that the first windows have, in (0, 1]. It
        is halved after fixed numbers of iterations, whatever `queries` is.
      places: where windows may lie; the reference's choice is
        `windows.all_but_the_last_place`.

    Raises:
      ValueError: on construction, epsilon not positive, an unknown norm, queries below
        1 or p_init outside of (0, 1]; when called, x is not a batch of images.
    """

    classifier: Classifier
    epsilon: float
    norm: str = "linf"
    queries: int = 5000
    p_init: float = 0.8
    places: windows.Places = windows.every_place

    def __post_init__(self) -> None:
        arguments.radius(epsilon=self.epsilon)
        arguments.counts(1, queries=self.queries)
        checks.positive(p_init=self.p_init)
        geometry.norm_named(self.norm)
        if self.p_init > 1:
            raise ValueError(f"p_init must be at most 1, got {self.p_init:g}")

    def __call__(
        self, x: Array, labels: Array, targets: Array, keys: Array, /
    ) -> Found:
        del targets
        search = self.search(x, labels, keys)
        return Found(search.x_adv, search.broken).or_nothing(x)

    def search(self, x: Array, labels: Array, keys: Array) -> State:
        """Like a call, but returns the best inputs even where none is misclassified.

        Args:
          x: `[B, h, w, K]` float32 in [0, 1].
          labels: `[B]` integers.
          keys: `[B]`, one of `jax.random.key` each.
        """
        arguments.images(x)
        shape, proposals = x.shape[1:], PROPOSALS[self.norm]
        draw_keys, noise_keys = _split(keys)
        constants = self.classifier.constants(x, noise_keys)
        numbers = _draw(draw_keys, 0, 1, proposals.start_draws(shape))[0]
        state = self._start(constants, x, labels, numbers, noise_keys)
        draws = proposals.draws(shape)
        for first in range(0, self.queries - 1, CHUNK):
            if jnp.all(state.broken):
                break
            count = min(CHUNK, self.queries - 1 - first)
            numbers = _draw(draw_keys, first + 1, CHUNK, draws)
            sides = self._sides(first, shape)
            state = self._advance(
                constants, state, x, labels, numbers, noise_keys, first, sides, count
            )
        return state

    def _sides(self, first: int, shape: windows.Shape) -> np.ndarray:
        """The sides of a chunk's windows."""
        proposals = PROPOSALS[self.norm]
        return np.asarray(
            [
                windows.side_at(iteration, self.p_init, shape, proposals)
                for iteration in range(first, first + CHUNK)
            ],
            np.int32,
        )

    @functools.cached_property
    def _start(self):
        """Looks at x, then at the first perturbed input, query 0."""

        def start(
            constants: Constants, x: Array, labels: Array, numbers: Array, keys: Array
        ) -> State:
            logits = self.classifier.logits(constants, x, keys)
            wrong = losses.is_wrong(logits, labels)
            loss = jnp.where(wrong, losses.margin(logits, labels), -jnp.inf)
            state = State(x, loss, wrong, jnp.zeros(len(x), jnp.int32))
            x_new = PROPOSALS[self.norm].start(numbers, x, self.epsilon)
            logits = self.classifier.logits(constants, x_new, fold_each(keys, 0))
            return _accept(state, x_new, logits, labels)

        return jax.jit(start)

    @functools.cached_property
    def _advance(self):
        """`count` iterations from `first`; iteration i makes query i + 1."""

        def advance(
            constants: Constants,
            state: State,
            x: Array,
            labels: Array,
            numbers: Array,
            keys: Array,
            first: Array,
            sides: Array,
            count: Array,
        ) -> State:
            def unfinished(carry: tuple[Array, State]) -> Array:
                i, state = carry
                return (i < count) & ~jnp.all(state.broken)

            def iterate(carry: tuple[Array, State]) -> tuple[Array, State]:
                i, state = carry
                x_new = PROPOSALS[self.norm].propose(
                    numbers[i], x, state.x_adv, sides[i], self.epsilon, self.places
                )
                noise = fold_each(keys, first + i + 1)
                logits = self.classifier.logits(constants, x_new, noise)
                return i + 1, _accept(state, x_new, logits, labels)

            return jax.lax.while_loop(unfinished, iterate, (jnp.asarray(0), state))[1]

        return jax.jit(advance, donate_argnames="state")


@jax.jit
def _split(keys: Array) -> tuple[Array, Array]:
    """Keys for the search's own numbers, and keys for a randomised network."""
    pairs = jax.vmap(jax.random.split)(keys)
    return pairs[:, 0], pairs[:, 1]


@functools.partial(jax.jit, static_argnames=("queries", "draws"))
def _draw(keys: Array, first: Array | int, queries: int, draws: int) -> Array:
    """`[queries, B, draws]` uniform in [0, 1), from other keys for each query.

    It is a program of its own, so that one compilation serves all classifiers.
    """
    # Keys in one row, since a generator compiles in half the time for these. Those of
    # an example are neighbours, as batches are divided over devices.
    numbers = jnp.tile(first + jnp.arange(queries), len(keys))
    keys_of_all = jax.vmap(jax.random.fold_in)(jnp.repeat(keys, queries), numbers)
    draw = lambda key: jax.random.uniform(key, (draws,), jnp.float32)
    drawn = jax.vmap(draw)(keys_of_all).reshape(len(keys), queries, draws)
    return jnp.swapaxes(drawn, 0, 1)


def _accept(state: State, x_new: Array, logits: Array, labels: Array) -> State:
    """Takes `x_new` if it raises the loss or is misclassified, and none was before."""
    loss = losses.margin(logits, labels)
    wrong = losses.is_wrong(logits, labels)
    searching = ~state.broken
    taken = searching & ((loss > state.loss) | wrong)
    return State(
        choose(taken, x_new, state.x_adv),
        jnp.where(taken, loss, state.loss),
        state.broken | (searching & wrong),
        state.queries + searching.astype(jnp.int32),
    )
