"""The code of docs/language_models.md is run, and does what the page says."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import ikl_jax
from ikl_jax import linear_head
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "language_models.md").read_text()
BATCH, SEQUENCE, WIDTH, TEACHER_WIDTH, VOCABULARY = 2, 4, 3, 5, 140
TOKENS = BATCH * SEQUENCE


def shown(section, **names):
    """The variables after the Python code of a section, which is given some."""
    (text,) = re.findall(
        rf"^## {re.escape(section)}\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S
    )
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    assert blocks, section
    names |= {"jax": jax, "jnp": jnp, "linear_head": linear_head}
    exec(compile("\n".join(blocks), section, "exec"), names)
    return names


def draw(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


class Model:
    """Hidden states of each token, which are rows of a table."""

    def apply(self, variables, inputs):
        return variables["params"]["embedding"][inputs]


def params(seed, width):
    return {
        "embedding": draw(seed, VOCABULARY, width),
        "lm_head": {"kernel": draw(seed + 1, width, VOCABULARY)},
    }


def language_models():
    tokens = jax.random.randint(jax.random.key(9), (BATCH, SEQUENCE), 0, VOCABULARY)
    mask = jnp.ones((BATCH, SEQUENCE), bool).at[1, -1].set(False)
    return dict(
        model=Model(), teacher=Model(), params=params(0, WIDTH),
        teacher_params=params(2, TEACHER_WIDTH), batch={"inputs": tokens, "mask": mask},
        tokens=TOKENS, labels=jnp.arange(TOKENS),
    )  # fmt: skip


def logits_of(params, inputs):
    hidden = params["embedding"][inputs]
    return (hidden @ params["lm_head"]["kernel"]).reshape(TOKENS, VOCABULARY)


def test_the_training_loop():
    given = language_models()
    found = shown("How do I use it in my training loop?", **given)
    keep = given["batch"]["mask"].reshape(-1)

    def dense(params):
        n, m = (
            logits_of(x, given["batch"]["inputs"])
            for x in (params, given["teacher_params"])
        )
        return jnp.sum(keep * ikl_jax.ikl_loss(n, m, temperature=2.0)) / keep.sum()

    loss, gradients = jax.jit(jax.value_and_grad(dense))(given["params"])
    np.testing.assert_allclose(found["loss"], loss, rtol=1e-5)
    for ours, expected in zip(
        *map(jax.tree.leaves, (found["grads"], gradients)), strict=True
    ):
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.long
def test_the_cross_entropy_with_labels():
    student_head = linear_head.Head(draw(0, TOKENS, WIDTH), draw(1, WIDTH, VOCABULARY))
    labels = jnp.arange(TOKENS)
    (code,) = re.findall(r"`(linear_head\.soft_cross_entropy\([^`]*)`", PAGE)
    names = dict(
        linear_head=linear_head, jnp=jnp, student_head=student_head, tokens=TOKENS,
        labels=labels,
    )  # fmt: skip
    expected = optax.softmax_cross_entropy_with_integer_labels(
        student_head.hidden @ student_head.kernel, labels
    )
    np.testing.assert_allclose(eval(code, names), expected, rtol=1e-5)


def test_a_stored_teacher():
    teacher_logits = 2 * draw(0, TOKENS, VOCABULARY)
    target = shown("Where does the teacher come from?", teacher_logits=teacher_logits)[
        "target"
    ]
    assert target.logits.shape == target.indices.shape == (TOKENS, 64)
    whole = jnp.exp(target.logits).sum(-1) + jnp.exp(target.rest)
    np.testing.assert_allclose(whole, 1.0, rtol=1e-5)
    student = linear_head.Head(draw(1, TOKENS, WIDTH), draw(2, WIDTH, VOCABULARY))
    losses = linear_head.kl_divergence(student, target)
    full = linear_head.kl_divergence(student, teacher_logits)
    assert (losses <= full + 1e-5).all()


@pytest.mark.long
def test_vocabularies_of_different_widths():
    wide, entries = VOCABULARY + 20, VOCABULARY - 2
    hidden, kernel = draw(0, TOKENS, WIDTH), draw(1, WIDTH, VOCABULARY)
    teacher = linear_head.Head(
        draw(2, TOKENS, TEACHER_WIDTH), draw(3, TEACHER_WIDTH, wide)
    )
    losses = shown(
        "How do I align vocabularies of different widths?", hidden=hidden, wide=wide,
        student_kernel=kernel, narrow=VOCABULARY, entries=entries, teacher_head=teacher,
    )["losses"]  # fmt: skip
    n, m = hidden @ kernel, teacher.hidden @ teacher.kernel
    expected = ikl_jax.kl_divergence(n[:, :entries], m[:, :entries])
    np.testing.assert_allclose(losses, expected, rtol=1e-4)


@pytest.mark.long
def test_class_wise_weights():
    probabilities = jax.nn.softmax(draw(0, TOKENS, VOCABULARY))
    groups = jnp.arange(TOKENS) % 16
    weights = shown(
        "What can class-wise weights mean?", vocabulary=VOCABULARY, groups=groups,
        probabilities=probabilities,
    )["weights"]  # fmt: skip
    student = linear_head.Head(draw(1, TOKENS, WIDTH), draw(2, WIDTH, VOCABULARY))
    target = draw(3, TOKENS, VOCABULARY)
    losses = linear_head.ikl_loss(student, target, weights)
    # No two of so few tokens are in one group, so the mean is a token's own prediction.
    expected = ikl_jax.ikl_loss(student.hidden @ student.kernel, target, probabilities)
    np.testing.assert_allclose(losses, expected, rtol=1e-4)


@pytest.mark.long
def test_many_devices():
    axes = (AxisType.Auto,) * 2
    mesh = jax.make_mesh((2, 4), ("data", "model"), axis_types=axes)
    found = shown(
        "Many devices", mesh=mesh, NamedSharding=NamedSharding,
        PartitionSpec=PartitionSpec, functools=functools, chunk_size=4,
    )  # fmt: skip
    hidden, kernel = draw(0, TOKENS, WIDTH), draw(1, WIDTH, VOCABULARY)
    teacher = draw(2, TOKENS, TEACHER_WIDTH), draw(3, TEACHER_WIDTH, VOCABULARY)
    weights = jnp.full(TOKENS, 1 / TOKENS)

    def dense(hidden, kernel):
        return ikl_jax.ikl_loss(hidden @ kernel, jnp.dot(*teacher)).mean()

    expected = jax.jit(jax.value_and_grad(dense, (0, 1)))(hidden, kernel)
    for step in ("step", "step_by_hand"):
        result = found[step](hidden, kernel, teacher, weights)
        for ours, of_dense in zip(
            *map(jax.tree.leaves, (result, expected)), strict=True
        ):
            np.testing.assert_allclose(ours, of_dense, rtol=1e-4, atol=1e-5)
