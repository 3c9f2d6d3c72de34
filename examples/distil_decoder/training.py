"""How teacher and student are trained: the losses, a teacher's answers, one loop."""

import functools
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from examples.distil_decoder.model import Decoder, predictions
from ikl_jax import linear_head
from ikl_jax.linear_head import Head, TopK, TopKWithRest

BATCH = 16  # windows
CHUNK = 256  # tokens: on a CPU, chunks that fit its caches are quicker
DISTILLED = {
    "kd": functools.partial(linear_head.kd_loss, temperature=1.0),
    "ikl": linear_head.ikl_loss,
    "gkl": functools.partial(linear_head.gkl_loss, gamma=0.5),
}
Arrays = dict[str, Any]  # by name; a row is of a window
Loss = Callable[[Head, jax.Array, Arrays], jax.Array]


def cross_entropy(student: Head, labels: jax.Array) -> jax.Array:
    """The mean over tokens; a label is a teacher's top 1."""
    label = TopK(jnp.zeros((len(labels), 1)), labels[:, None])
    each = jnp.full(len(labels), 1 / len(labels))
    return linear_head.soft_cross_entropy(
        student, label, chunk_size=CHUNK, example_weights=each
    )


def loss_of(name: str, strength: float, make_target: Callable | None) -> Loss:
    """The mean cross-entropy; towards a target, plus `strength` times the mean loss."""

    def loss(student: Head, labels: jax.Array, rows: Arrays) -> jax.Array:
        total = cross_entropy(student, labels)
        if make_target is None:
            return total
        each = jnp.full(len(labels), strength / len(labels))
        return total + DISTILLED[name](
            student, make_target(rows), chunk_size=CHUNK, example_weights=each
        )

    return loss


def answers(decoder: Decoder, params: Any, windows: np.ndarray, k: int) -> Arrays:
    """A teacher's hidden states and k largest log-probabilities, and its kernel."""

    def of_window(tokens: jax.Array) -> tuple[jax.Array, ...]:
        (hidden, kernel, *_), _ = predictions(decoder, params, tokens[None])
        values, indices = jax.lax.top_k(jax.nn.log_softmax(hidden @ kernel), k)
        return hidden.astype("float16"), values, indices

    rows = jax.lax.map(jax.jit(of_window), windows, batch_size=BATCH)
    hidden, values, indices = map(np.asarray, rows)
    kernel = params["head"]
    return {"hidden": hidden, "values": values, "indices": indices, "kernel": kernel}


def target(kind: str, stored: Mapping[str, Any]) -> tuple[Arrays, Callable]:
    """The rows that a target needs, and how it is made of them.

    `full` is the teacher's head. `topK` and `restK` are its K largest log-probabilities
    with the rest of its probability left out, and as one more class.
    """
    if kind == "full":
        kernel = jnp.asarray(stored["kernel"])
        return {"hidden": stored["hidden"]}, lambda rows: Head(
            rows["hidden"].reshape(-1, len(kernel)).astype(kernel.dtype), kernel
        )
    found, most = re.fullmatch("(top|rest)([0-9]+)", kind), stored["values"].shape[-1]
    if not found or not 1 <= (k := int(found[2])) <= most:
        raise ValueError(f"target is full, topK or restK, K from 1 to {most}: {kind}")

    def of_top(rows: Arrays) -> TopK | TopKWithRest:
        values, indices = (rows[name].reshape(-1, k) for name in ("values", "indices"))
        if found[1] == "top":
            return TopK(values, indices)
        rest = jnp.log1p(-jnp.minimum(jnp.exp(values).sum(-1), 1 - 1e-6))
        return TopKWithRest(values, indices, rest)

    return {name: stored[name][..., :k] for name in ("values", "indices")}, of_top


def batches(windows: int, seed: int) -> Iterator[np.ndarray]:
    """The windows of each batch, every window at most once an epoch."""
    random = np.random.default_rng(seed)
    while True:
        order = random.permutation(windows)[: windows // BATCH * BATCH]
        yield from order.reshape(-1, BATCH)


def fit(
    windows: np.ndarray, vocabulary: int, loss: Loss, rows: Arrays, *, width: int,
    depth: int, steps: int, learning_rate: float, seed: int,
) -> tuple[Decoder, Any]:  # fmt: skip
    """A decoder and its parameters after that many steps of AdamW.

    The learning rate is warmed up and decays. The loss is given a batch's `rows`, too.
    """
    if len(windows) < BATCH:
        raise ValueError(f"the text has {len(windows)} windows, and a batch {BATCH}")
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, learning_rate, steps // 10, steps, learning_rate / 10
    )
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule))

    @functools.partial(jax.jit, donate_argnums=0)
    def step(state, tokens, rows):
        def objective(params):
            return loss(*predictions(decoder, params, tokens), rows)

        value, gradients = jax.value_and_grad(objective)(state[0])
        updates, optimizer_state = optimizer.update(gradients, state[1], state[0])
        return (optax.apply_updates(state[0], updates), optimizer_state), value

    decoder = Decoder(vocabulary, width, depth, windows.shape[1] - 1)
    params = decoder.init(jax.random.key(seed), windows[:1, :-1])["params"]
    state, value = (params, optimizer.init(params)), 0.0
    for chosen in itertools.islice(batches(len(windows), seed), steps):
        batch = {name: array[chosen] for name, array in rows.items()}
        state, value = step(state, windows[chosen], batch)
    if not np.isfinite(value):
        raise FloatingPointError(f"the loss is {value} after {steps} steps")
    return decoder, state[0]


def perplexities(decoder: Decoder, params: Any, data: Arrays) -> dict[str, float]:
    """Of the parts that were held out: the exponential of a token's cross-entropy."""
    mean = jax.jit(lambda x: cross_entropy(*predictions(decoder, params, x)))
    return {part: float(np.exp(mean(data[part]))) for part in ("tuning", "test")}
