"""One restart of APGD, in three norms.

Reference: Croce & Hein, "Reliable evaluation of adversarial robustness with an ensemble
of diverse parameter-free attacks", https://arxiv.org/abs/2003.01690, 2020, section 3.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ikl_jax.attacks.apgd import halving, l1
from ikl_jax.attacks.apgd.halving import Point, Rules
from ikl_jax.attacks.common import arguments, geometry, loops, losses
from ikl_jax.attacks.common.attack import Batch, Found
from ikl_jax.attacks.common.classifier import Classifier, Constants
from ikl_jax.attacks.common.keys import fold_each
from ikl_jax.attacks.common.rows import choose
from ikl_jax.types import Array, Scalar

# Makes a norm's rules from rho and the first loss; l1 uses neither.
RULES: dict[str, Callable[[float, float | None], Rules]] = {
    "linf": functools.partial(
        halving.HalvedSteps, geometry.NORMS["linf"], halving.linf_direction
    ),
    "l2": functools.partial(
        halving.HalvedSteps, geometry.NORMS["l2"], halving.l2_direction
    ),
    "l1": lambda rho, loss_before_start: l1.SparseSteps(),
}


class State(NamedTuple):
    """The state of a search, with flat inputs.

    Attributes:
      now: the newest point.
      best: the point with the highest loss in this phase's ball.
      memory: what the norm's rules remember.
      found: the first misclassified point.
    """

    now: Point
    best: Point
    memory: Any
    found: Found


@dataclasses.dataclass(frozen=True, eq=False)
class Apgd:
    """One restart of APGD, an `Attack`.

    Every step costs one forward and one backward pass, and adapts to each example by
    itself. The object keeps its compiled programs, three for each batch shape, so use
    one object for all batches.

    Attributes:
      classifier: the classifier.
      epsilon: radius of the ball, > 0, in the units of `x` (pixels in [0, 1]).
      norm: "linf", "l2" or "l1".
      loss: the loss to increase, a function of logits `[B, C]`, labels `[B]` and
        targets `[B]`, such as `losses.targeted_dlr`. `losses.untargeted` makes one that
        ignores targets.
      steps: the number of gradient steps, >= 0; for l1 with those in larger balls.
      rho: the share of steps that must increase the loss, in [0, 1]; linf and l2.
      eot_samples: forward and backward passes in each step, each with its own noise of
        a randomised network. Their losses and gradients are averaged, and an input
        counts as misclassified if more than half of them are wrong.
      loss_before_start: the loss that the first step must exceed to count as an
        increase, for linf and l2. None: the loss at the start. The authors' code has
        0.0 there, which counts that step as an increase of any positive loss.

    Raises:
      ValueError: epsilon or eot_samples not positive, steps negative, rho outside of
        [0, 1], unknown norm; when called, a loss that is not one value per example.
    """

    classifier: Classifier
    epsilon: float
    norm: str
    loss: losses.AimedLoss
    steps: int = 100
    rho: float = 0.75
    eot_samples: int = 1
    loss_before_start: float | None = None

    def __post_init__(self) -> None:
        geometry.norm_named(self.norm)
        arguments.radius(epsilon=self.epsilon)
        arguments.counts(1, eot_samples=self.eot_samples)
        arguments.counts(0, steps=self.steps)
        if not 0 <= self.rho <= 1:
            raise ValueError(f"rho must lie in [0, 1], got {self.rho}")

    def __call__(
        self, x: Array, labels: Array, targets: Array, keys: Array, /
    ) -> Found:
        found = self.search(x, labels, targets, keys).found
        return found._replace(x_adv=found.x_adv.reshape(x.shape))

    def search(self, x: Array, labels: Array, targets: Array, keys: Array, /) -> State:
        """Like a call; the returned state also has the best point and its loss.

        It ends early once all examples are broken. Inputs in the state are flat.
        """
        # Rows, since XLA's loops over images of few channels are slow on CPU.
        batch = Batch(x.reshape(len(x), -1), labels, targets, keys)
        x = batch.x
        found = Found(x, jnp.zeros(len(x), bool))
        *larger, last = self._rules.phases(self.epsilon, self.steps)
        start = self._start(batch, (larger or [last])[0].epsilon)
        # Only the last phase's points lie in the ball that is asked for.
        for number, phase in enumerate(larger):
            part = batch._replace(keys=fold_each(keys, 2 + number))
            start = self._climb(part, start, found, phase, counts=False).best.x
        part = batch._replace(keys=fold_each(keys, 1))
        return self._climb(part, start, found, last, counts=True)

    def _climb(
        self,
        batch: Batch,
        start: Array,
        found: Found,
        phase: halving.Phase,
        *,
        counts: bool,
    ) -> State:
        constants = self.classifier.constants(batch.x, batch.keys)
        state = self._begin(constants, batch, start, found, phase.epsilon, counts)
        checkpoints = self._rules.checkpoints(phase.steps)
        for first in range(0, phase.steps, self._chunk):
            # A last chunk with fewer steps runs the same program. The steps that are
            # not live change neither `best` nor `found`.
            live = first + np.arange(self._chunk) < phase.steps
            intervals = np.zeros(self._chunk, np.int32)
            intervals[live] = checkpoints[first : first + self._chunk]
            state, done = self._advance(
                constants, batch, state, phase.epsilon, first, intervals, live, counts
            )
            if done:
                break
        return state

    @functools.cached_property
    def _rules(self) -> Rules:
        return RULES[self.norm](self.rho, self.loss_before_start)

    @functools.cached_property
    def _chunk(self) -> int:
        phases = self._rules.phases(self.epsilon, self.steps)
        most = loops.gradient_steps(self.classifier.arrays) // self.eot_samples
        return _chunk_size([phase.steps for phase in phases], max(most, 1))

    @functools.cached_property
    def _start(self) -> Callable[[Batch, float], Array]:
        def start(batch: Batch, epsilon: Array) -> Array:
            return self._rules.start(batch.x, fold_each(batch.keys, 0), epsilon)

        return jax.jit(start)

    @functools.cached_property
    def _begin(self) -> Callable[..., State]:
        def begin(
            constants: Constants,
            batch: Batch,
            x_adv: Array,
            found: Found,
            epsilon: Array,
            counts: Array,
        ) -> State:
            x_adv = self._rules.project(x_adv, batch.x, epsilon)
            keys = self._sample_keys(batch.keys, jnp.zeros(1, jnp.int32))[0]
            now, wrong = self._evaluate(constants, batch, x_adv, keys)
            memory = self._rules.begin(batch.x, now, epsilon)
            return State(now, now, memory, _keep_first(found, x_adv, wrong & counts))

        return jax.jit(begin)

    @functools.cached_property
    def _advance(self) -> Callable[..., tuple[State, Array]]:
        def advance(
            constants: Constants,
            batch: Batch,
            state: State,
            epsilon: Array,
            first: Array,
            intervals: Array,
            live: Array,
            counts: Array,
        ) -> tuple[State, Array]:
            # All at once: a random generator takes long to compile.
            keys = self._sample_keys(batch.keys, first + 1 + jnp.arange(self._chunk))

            def step(state: State, i: Array) -> State:
                x_adv, memory = self._rules.move(
                    batch.x, state.now, state.memory, first + i, epsilon
                )
                now, wrong = self._evaluate(constants, batch, x_adv, keys[i])
                found = _keep_first(state.found, x_adv, wrong & live[i] & counts)
                higher = (now.loss > state.best.loss) & live[i]
                best = choose(higher, now, state.best)
                now, memory = self._rules.adapt(
                    batch.x, now, best, memory, intervals[i], epsilon
                )
                return State(now, best, memory, found)

            state = loops.repeat(step, state, self._chunk)
            return state, jnp.all(state.found.broken)

        return jax.jit(advance, donate_argnums=2)

    def _sample_keys(self, keys: Array, numbers: Array) -> Array:
        """A key for each evaluation number, sample and example: `[N, S, B]`."""
        samples = jnp.arange(self.eot_samples)[None]
        samples = self.eot_samples * numbers[:, None] + samples
        return jax.vmap(jax.vmap(fold_each, (None, 0)), (None, 0))(keys, samples)

    def _evaluate(
        self, constants: Constants, batch: Batch, x: Array, keys: Array
    ) -> tuple[Point, Array]:
        """The point, and which examples are misclassified there; keys `[S, B]`."""

        def total(x: Array, sample: Scalar) -> tuple[Array, tuple[Array, Array]]:
            logits = self.classifier.logits(constants, x, keys[sample])
            values = self.loss(logits, batch.labels, batch.targets)
            if values.shape != x.shape[:1]:
                raise ValueError(
                    f"loss must return one value per example, shape {x.shape[:1]}, "
                    f"got {values.shape}"
                )
            wrong = losses.is_wrong(logits, batch.labels)
            return jnp.sum(values), (values, wrong)

        def sampled(sample: Scalar) -> tuple[Array, Array, Array]:
            (_, (values, wrong)), gradient = jax.value_and_grad(total, has_aux=True)(
                x, sample
            )
            # One entry that is not a number would spoil all later steps.
            gradient = jnp.where(jnp.isfinite(gradient), gradient, 0.0)
            return values, gradient, wrong.astype(jnp.int32)

        samples = self.eot_samples
        values, gradient, wrong = loops.total(sampled, samples)
        return Point(x, values / samples, gradient / samples), 2 * wrong > samples


def _keep_first(found: Found, x_adv: Array, wrong: Array) -> Found:
    new = wrong & ~found.broken
    return Found(choose(new, x_adv, found.x_adv), found.broken | wrong)


def _chunk_size(steps: Sequence[int], most: int) -> int:
    """A size from `most / 2` to `most` that leaves the fewest steps over."""
    most = min(most, max(1, *steps))
    waste = lambda size: sum(-length % size for length in steps)
    return min(range(most, (most - 1) // 2, -1), key=waste)
