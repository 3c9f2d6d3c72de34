"""The Square Attack: random search over square windows, from logits alone.

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
from ikl_jax.attacks.common import attack, geometry, losses
from ikl_jax.attacks.common.classifier import Classifier
from ikl_jax.attacks.square import linf, pyramids, windows
from ikl_jax.types import Array, LogitsFn

NORMS: dict[str, windows.Proposals] = {
    "linf": linf.Signs(),
    "l2": pyramids.L2,
    "l1": pyramids.L1,
}
# So many iterations are one call of a compiled program, with their random numbers drawn
# at once. Results do not depend on it.
CHUNK = 100
IMAGE_RANK = 4


class Searched(NamedTuple):
    """What the Square Attack has found.

    Attributes:
      x_adv: `[B, h, w, K]`, the first misclassified input that was met; x itself where
        none was.
      broken: `[B]`, whether one was.
      queries: `[B]` int32, perturbed inputs that were looked at; 0 where x itself is
        misclassified.
    """

    x_adv: Array
    broken: Array
    queries: Array


class Search(NamedTuple):
    """How far a search is.

    Attributes:
      x_adv: `[B, h, w, K]`, the best so far, or the first misclassified.
      loss: `[B]`, its margin.
      broken: `[B]`, whether it is misclassified; it then stays as it is.
      queries: `[B]`, perturbed inputs that were looked at.
    """

    x_adv: Array
    loss: Array
    broken: Array
    queries: Array


@dataclasses.dataclass(frozen=True)
class Square:
    """The Square Attack as an `attack.Attack`; targets are ignored.

    A proposal is kept where it raises the margin or is misclassified. Each example
    draws its own windows and signs from its own key folded with the query's number, so
    that what is found depends neither on the rest of the batch nor on its order. (The
    reference draws one window and one pattern of signs for all of the batch; that is
    not offered.) The call ends as soon as all of the batch are broken.

    Attributes:
      classifier: the classifier.
      epsilon: radius of the ball, > 0, in the units of x.
      norm: "linf", "l2" or "l1".
      queries: perturbed inputs looked at, the start among them, >= 1.
      p_init: part of the image's area that the first windows have, in (0, 1]. It is
        halved after fixed numbers of iterations, which are not rescaled to `queries`.
      places: where windows may lie; `square_windows.all_but_the_last_place` is the
        reference's choice.

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
        checks.positive(epsilon=self.epsilon, queries=self.queries, p_init=self.p_init)
        checks.one_of("norm", self.norm, NORMS)
        if self.p_init > 1:
            raise ValueError(f"p_init must be at most 1, got {self.p_init:g}")

    def __call__(
        self, x: Array, labels: Array, targets: Array, keys: Array, /
    ) -> attack.Found:
        del targets
        search = self.search(x, labels, keys)
        return attack.Found(_broken_or(x, search), search.broken)

    def search(self, x: Array, labels: Array, keys: Array) -> Search:
        """Like a call, with the best that was found where nothing was misclassified.

        Args:
          x: `[B, h, w, K]` float32 in [0, 1].
          labels: `[B]` integers.
          keys: `[B]`, one of `jax.random.key` each.
        """
        _check_images(x)
        shape, proposals = x.shape[1:], NORMS[self.norm]
        constants = self.classifier.constants
        draw_keys, noise_keys = _split(keys)
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
        """Of a chunk's windows."""
        proposals = NORMS[self.norm]
        return np.asarray(
            [
                windows.side_at(iteration, self.p_init, shape, proposals)
                for iteration in range(first, first + CHUNK)
            ],
            np.int32,
        )

    @functools.cached_property
    def _start(self):
        """Looks at x, then at the first perturbed input, the query of number 0."""

        def start(constants, x, labels, numbers, keys):
            logits = self.classifier.logits(constants, x, keys)
            wrong = losses.is_wrong(logits, labels)
            loss = jnp.where(wrong, losses.margin(logits, labels), -jnp.inf)
            state = Search(x, loss, wrong, jnp.zeros(len(x), jnp.int32))
            x_new = NORMS[self.norm].start(numbers, x, self.epsilon)
            logits = self.classifier.logits(constants, x_new, _fold(keys, 0))
            return _accept(state, x_new, logits, labels)

        return jax.jit(start)

    @functools.cached_property
    def _advance(self):
        """`count` iterations from `first`; that of number i is query i + 1."""

        def advance(constants, state, x, labels, numbers, keys, first, sides, count):
            def unfinished(carry):
                i, state = carry
                return (i < count) & ~jnp.all(state.broken)

            def iterate(carry):
                i, state = carry
                x_new = NORMS[self.norm].propose(
                    numbers[i], x, state.x_adv, sides[i], self.epsilon, self.places
                )
                noise = _fold(keys, first + i + 1)
                logits = self.classifier.logits(constants, x_new, noise)
                return i + 1, _accept(state, x_new, logits, labels)

            return jax.lax.while_loop(unfinished, iterate, (0, state))[1]

        return jax.jit(advance, donate_argnames="state")


def square(
    logits_fn: LogitsFn,
    x: Array,
    labels: Array,
    *,
    epsilon: float,
    norm: str = "linf",
    queries: int = 5000,
    p_init: float = 0.8,
    key: Array,
) -> Searched:
    """Searches around images for misclassified ones, from logits alone.

    Args:
      logits_fn: `[B, h, w, K]` to `[B, C]`, an example's logits depending on that
        example only.
      x: `[B, h, w, K]` floating point in [0, 1].
      labels: `[B]` integers.
      epsilon: radius of the ball, > 0, in the units of `x`.
      norm: "linf", "l2" or "l1".
      queries: perturbed inputs looked at for each example, the start among them, >= 1.
      p_init: part of the image's area that the first windows have, in (0, 1].
      key: one key, folded with each row's index, or `[B]` keys, one an example.

    Returns:
      `Searched`: x_adv, broken, queries.

    Raises:
      ValueError: `x` is not a batch of images or not in [0, 1], labels out of range or
        not one an example, epsilon not positive, an unknown norm, queries below 1,
        p_init outside of (0, 1].
      TypeError: `x` is not floating point, or labels are not integers.

    Examples:
      >>> import jax, jax.numpy as jnp, ikl_jax
      >>> x = jnp.full((1, 4, 4, 1), 0.5)
      >>> brightness = lambda x: jnp.mean(x, axis=(1, 2)) @ jnp.array([[1.0, -1.0]])
      >>> logits_fn = lambda x: brightness(x) - jnp.array([[0.45, -0.45]])
      >>> label, key = jnp.array([0]), jax.random.key(0)
      >>> found = ikl_jax.attacks.square(logits_fn, x, label, epsilon=0.1, key=key)
      >>> print(found.broken, jnp.argmax(logits_fn(found.x_adv), axis=-1))
      [ True] [1]
    """
    x, labels = jnp.asarray(x), jnp.asarray(labels)
    checks.floating(x=x)
    _check_images(x)
    geometry.check_bounds((0.0, 1.0), x)
    x = x.astype(jnp.float32)
    attacked = Classifier.of(logits_fn, x)
    if labels.shape != x.shape[:1]:
        raise ValueError(
            f"labels must be one for each of the {len(x)} images, got {labels.shape}"
        )
    checks.labels_in_range(labels, attacked.num_classes)
    searching = Square(attacked, epsilon, norm, queries, p_init)
    search = searching.search(x, labels, geometry.example_keys(key, len(x)))
    return Searched(_broken_or(x, search), search.broken, search.queries)


def _check_images(x: Array) -> None:
    if x.ndim != IMAGE_RANK or not x[0].size:
        raise ValueError(
            "the Square Attack moves windows over images and needs x of shape "
            f"[batch, height, width, channels], got {x.shape}"
        )


def _broken_or(x: Array, search: Search) -> Array:
    return jnp.where(search.broken[:, None, None, None], search.x_adv, x)


@jax.jit
def _split(keys: Array) -> tuple[Array, Array]:
    """Keys of the search's own numbers, and of a randomised network's."""
    pairs = jax.vmap(jax.random.split)(keys)
    return pairs[:, 0], pairs[:, 1]


def _fold(keys: Array, query: Array | int) -> Array:
    return jax.vmap(lambda key: jax.random.fold_in(key, query))(keys)


@functools.partial(jax.jit, static_argnames=("queries", "draws"))
def _draw(keys: Array, first: Array | int, queries: int, draws: int) -> Array:
    """`[queries, B, draws]` uniform in [0, 1), each query's from its own keys.

    A program of its own, which knows no network, and so is compiled for all of them.
    """
    draw = lambda key: jax.random.uniform(key, (draws,), jnp.float32)
    of_query = lambda query: jax.vmap(draw)(_fold(keys, query))
    return jax.vmap(of_query)(first + jnp.arange(queries))


def _accept(state: Search, x_new: Array, logits: Array, labels: Array) -> Search:
    """Keeps what raises the loss or is misclassified, of examples not yet broken."""
    loss = losses.margin(logits, labels)
    wrong = losses.is_wrong(logits, labels)
    searching = ~state.broken
    taken = searching & ((loss > state.loss) | wrong)
    return Search(
        jnp.where(taken[:, None, None, None], x_new, state.x_adv),
        jnp.where(taken, loss, state.loss),
        state.broken | (searching & wrong),
        state.queries + searching,
    )
