"""One restart of FAB: the nearest misclassified input, by geometry.

Each step projects the iterate and the clean input onto the linearised boundary, goes a
little beyond a convex combination of the two, and back towards the clean input from
where the prediction is wrong.

Reference: Croce & Hein, "Minimally distorted adversarial examples with a fast adaptive
boundary attack", https://arxiv.org/abs/1907.02044, 2020; targeted form and defaults as
in https://arxiv.org/abs/2003.01690. Where this differs from the authors' code:

- A point after a step back also counts if it is still misclassified, since its logits
  are computed anyway. The iterates do not change.
- It makes the final search of the paper, which their ensemble leaves out.
- It finds an input that is misclassified itself, at distance 0.
"""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ikl_jax import checks
from ikl_jax.attacks.common import arguments, geometry, loops, losses
from ikl_jax.attacks.common.attack import Batch, Found
from ikl_jax.attacks.common.classifier import Classifier, Constants
from ikl_jax.attacks.common.keys import fold_each
from ikl_jax.attacks.common.rows import spread
from ikl_jax.attacks.fab import hyperplane
from ikl_jax.attacks.fab.boundary import Boundary, towards_target
from ikl_jax.attacks.fab.nearest import Nearest, final_search
from ikl_jax.types import Array

# The least distance in ratios of distances, which would be 0 / 0 without it.
SMALLEST = 1e-8


class State(NamedTuple):
    """The state of a search, with flat inputs.

    Attributes:
      point: `[B, D]`, the iterate.
      nearest: the nearest misclassified input so far.
    """

    point: Array
    nearest: Nearest


@dataclasses.dataclass(frozen=True)
class Fab:
    """One restart of FAB from the clean input, an `attacks.common.attack.Attack`.

    The first input within epsilon that is found for an example is its result. The
    search ends when there is one for all examples of the batch.

    Attributes:
      classifier: the classifier.
      epsilon: radius of the ball, >= 0. With 0 the search makes all steps.
      norm: "linf", "l2" or "l1".
      steps: number of steps, >= 0. Each costs two forward passes, and the backward
        passes of `boundary`.
      alpha_max: the largest weight of the clean input's projection, in [0, 1].
      eta: how far to go along the projections, > 0; above 1, beyond the boundary.
      beta: the share of a perturbation that is left after a step back, in [0, 1].
      boundary: the plane to go to: `towards_target` costs one backward pass in each
        step, `towards_nearest` one for each class.

    Raises:
      ValueError: a value outside of its range, or an unknown norm.

    >>> import jax, jax.numpy as jnp
    >>> from ikl_jax.attacks.fab.search import Fab
    >>> from ikl_jax.attacks.common.classifier import Classifier
    >>> linear = lambda x: jnp.stack([x[:, 0], x[:, 1]], axis=1)
    >>> x = jnp.array([[0.6, 0.5], [0.9, 0.1]])
    >>> attack = Fab(Classifier.of(linear, x), epsilon=0.1)
    >>> keys = jax.random.split(jax.random.key(0), 2)
    >>> found = attack(x, jnp.array([0, 0]), jnp.array([1, 1]), keys)
    >>> print(found.broken)
    [ True False]
    """

    classifier: Classifier
    epsilon: float
    norm: str = "linf"
    steps: int = 100
    alpha_max: float = 0.1
    eta: float = 1.05
    beta: float = 0.9
    boundary: Boundary = towards_target

    def __post_init__(self) -> None:
        geometry.norm_named(self.norm)
        arguments.numbers(epsilon=self.epsilon)
        checks.non_negative(epsilon=self.epsilon)
        arguments.counts(0, steps=self.steps)
        checks.within(0.0, 1.0, alpha_max=self.alpha_max, beta=self.beta)
        checks.positive(eta=self.eta)

    def __call__(
        self, x: Array, labels: Array, targets: Array, keys: Array, /
    ) -> Found:
        return self.search(x, labels, targets, keys, start=x)

    def search(
        self, x: Array, labels: Array, targets: Array, keys: Array, /, *, start: Array
    ) -> Found:
        """Like a call, with its first point at `start` in [0, 1]."""
        nearest = self.nearest(x, labels, targets, keys, start=start)
        found = Found(nearest.x_adv, nearest.distance <= self.epsilon)
        return found.or_nothing(x)

    def nearest(
        self, x: Array, labels: Array, targets: Array, keys: Array, *, start: Array
    ) -> Nearest:
        """The nearest misclassified inputs, from a first point at `start` in [0, 1].

        It ends early once all examples have one within epsilon.
        """
        batch, state = _begin(Batch(x, labels, targets, keys), start)
        constants = self.classifier.constants(x, keys)
        for first in range(0, self.steps, self._chunk):
            state, done = self._advance(constants, batch, state, first)
            if checks.is_concrete(done) and done:  # it is not under `vmap`
                return state.nearest.shaped(x)
        return self._finish(constants, batch, state.nearest).shaped(x)

    def nearest_inside_jit(
        self, x: Array, labels: Array, targets: Array, keys: Array, *, start: Array
    ) -> Nearest:
        """Like `nearest`, for use inside of `jit`; it does not end early.

        The chunks are a loop of the program, so that it does not grow with the steps.
        """
        batch, state = _begin(Batch(x, labels, targets, keys), start)
        constants = self.classifier.constants(x, keys)
        advance = lambda i, state: self._advance(
            constants, batch, state, i * self._chunk
        )[0]
        chunks = -(-self.steps // self._chunk)
        state = jax.lax.fori_loop(0, chunks, advance, state)
        return self._finish(constants, batch, state.nearest).shaped(x)

    @property
    def _norm(self) -> geometry.Norm:
        return geometry.norm_named(self.norm)

    @property
    def _chunk(self) -> int:
        return max(min(loops.gradient_steps(self.classifier.arrays), self.steps), 1)

    @functools.cached_property
    def _advance(self):
        """A chunk of steps, compiled once for each batch shape.

        It also tells whether all examples have an input within epsilon.
        """

        def advance(
            constants: Constants, batch: Batch, state: State, first: Array
        ) -> tuple[State, Array]:
            def step(state: State, i: Array) -> State:
                following = self._step(constants, batch, state, i)
                # The last chunk may be longer than what remains.
                return jax.tree.map(
                    lambda new, old: jnp.where(i < self.steps, new, old),
                    following,
                    state,
                )

            state = loops.repeat(step, state, self._chunk, first=first)
            return state, jnp.all(state.nearest.distance <= self.epsilon)

        return jax.jit(advance)

    def _step(
        self,
        constants: Constants,
        batch: Batch,
        state: State,
        i: Array,
    ) -> State:
        x, labels, targets, _ = batch
        logits_at = lambda point, look: self.classifier.logits(
            constants, point, fold_each(batch.keys, look)
        )
        margin, slope, logits = self.boundary(
            lambda point: logits_at(point, 2 * i),
            state.point, labels, targets, self._norm,
        )  # fmt: skip
        nearest = self._or_nearer(state.nearest, batch, state.point, logits)
        # The margin of a network in float64 has more digits than the input.
        margin = margin.astype(x.dtype)
        point = self._towards_boundary(x, state.point, margin, slope)
        logits = logits_at(point, 2 * i + 1)
        nearest = self._or_nearer(nearest, batch, point, logits)
        back = x + self.beta * (point - x)
        wrong = spread(losses.is_wrong(logits, labels), x)
        return State(jnp.where(wrong, back, point), nearest)

    def _or_nearer(
        self, nearest: Nearest, batch: Batch, point: Array, logits: Array
    ) -> Nearest:
        wrong = losses.is_wrong(logits, batch.labels)
        return nearest.or_nearer(batch.x, point, wrong, self._norm, self.epsilon)

    def _towards_boundary(
        self, x: Array, point: Array, margin: Array, slope: Array
    ) -> Array:
        """A mean of the two projections, of the iterate and of `x`, onto the plane."""
        at_x = margin + jnp.sum(slope * (x - point), axis=-1)
        starts = jnp.concatenate([point, x])
        normals = jnp.concatenate([slope, slope])
        values = jnp.concatenate([margin, at_x])
        steps = hyperplane.STEP_TO[self.norm](starts, normals, values)
        sizes = jnp.maximum(self._norm.size(steps), SMALLEST)
        of_point, of_x = jnp.split(sizes[:, None], 2)
        alpha = jnp.minimum(of_point / (of_point + of_x), self.alpha_max)
        from_point, from_x = jnp.split(starts + self.eta * steps, 2)
        mixed = (1.0 - alpha) * from_point + alpha * from_x
        return jnp.clip(mixed, 0.0, 1.0)

    @functools.cached_property
    def _finish(self):
        """The final search, compiled once for each batch shape."""

        def finish(constants: Constants, batch: Batch, nearest: Nearest) -> Nearest:
            def look(point: Array, i: int | Array) -> tuple[Array, Array]:
                keys = fold_each(batch.keys, 2 * self.steps + i)
                logits = self.classifier.logits(constants, point, keys)
                margin = losses.margin(logits, batch.labels)
                return margin, losses.is_wrong(logits, batch.labels)

            return final_search(look, nearest, batch.x, self._norm, self.epsilon)

        return jax.jit(finish)


def _begin(batch: Batch, start: Array) -> tuple[Batch, State]:
    """The batch with flat inputs, and the search before its first step."""
    # On CPU, XLA's norms of differences of images take forty times those of rows.
    flat = lambda array: array.reshape(len(array), -1)
    batch = batch._replace(x=flat(batch.x))
    return batch, State(flat(start), Nearest.none(batch.x))


@dataclasses.dataclass(frozen=True)
class FromRandomPoint:
    """A restart of FAB from a random point, an `Attack`.

    Attributes:
      fab: the search, whose compiled programs it shares.
      radius: distance of the start from the clean input, in units of epsilon, > 0.
    """

    fab: Fab
    radius: float = 0.5

    def __post_init__(self) -> None:
        checks.positive(radius=self.radius)

    def __call__(
        self, x: Array, labels: Array, targets: Array, keys: Array, /
    ) -> Found:
        start, keys = self._start(x, keys)
        return self.fab.search(x, labels, targets, keys, start=start)

    @functools.cached_property
    def _start(self):
        def start(x: Array, keys: Array) -> tuple[Array, Array]:
            """The start, and other keys for the search."""
            norm = geometry.norm_named(self.fab.norm)
            keys, starts = jax.vmap(jax.random.split, out_axes=1)(keys)
            delta = jax.vmap(lambda key: norm.sample(key, x.shape[1:]))(starts)
            size = norm.size(delta.reshape(len(x), -1))
            scale = self.radius * self.fab.epsilon / jnp.maximum(size, SMALLEST)
            moved = (spread(scale, x) * delta).astype(x.dtype)
            return jnp.clip(x + moved, 0.0, 1.0), keys

        return jax.jit(start)
