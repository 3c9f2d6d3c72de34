"""What the losses of a linear head take: products, and memory of compiled programs."""

import jax
import jax.numpy as jnp
import pytest

import ikl_jax
from ikl_jax import linear_head
from ikl_jax.linear_head import Head, passes
from ikl_jax.linear_head.layout import CHUNK_BYTES, Layout

T, H, V = 512, 16, 4096


def equations(fn, *arguments):
    """The equations of a traced function, those within loops and calls included."""

    def found(jaxpr):
        for equation in jaxpr.eqns:
            yield equation
            for value in jax.tree.leaves(
                list(equation.params.values()), is_leaf=lambda x: hasattr(x, "eqns")
            ):
                inner = getattr(value, "jaxpr", value)
                if hasattr(inner, "eqns"):
                    yield from found(inner)

    return found(jax.make_jaxpr(fn)(*arguments).jaxpr)


def products(fn, *arguments):
    """The number of products of matrices of a function, a loop's counted once."""
    names = [each.primitive.name for each in equations(fn, *arguments)]
    return names.count("dot_general")


def shapes(tokens=T, width=H, classes=V, dtype=jnp.float32):
    of = lambda *shape: jax.ShapeDtypeStruct(shape, dtype)
    student, teacher = (
        (of(tokens, width), of(width, classes)),
        (of(tokens, 24), of(24, classes)),
    )
    return student, teacher, of(tokens, classes)


def gradients(loss, student, target, *, total, both=False, **given):
    """Value and gradients with respect to the student, or to both sides."""

    def of(student, target):
        target = target if both else jax.lax.stop_gradient(target)
        target = Head(*target) if isinstance(target, tuple) else target
        each = jnp.ones(len(student[0]))
        if total:
            return loss(Head(*student), target, example_weights=each, **given)
        return jnp.sum(loss(Head(*student), target, **given))

    return lambda s, t: jax.value_and_grad(of, (0, 1) if both else 0)(s, t)


@pytest.mark.parametrize("name", ["kl_divergence", "kd_loss", "ikl_loss"])
def test_products(name):
    student, teacher, logits = shapes()
    loss = getattr(linear_head, name)

    def count(target, **options):
        return products(gradients(loss, student, target, **options), student, target)

    # The dense form has one product of each head, and two more for its gradients.
    assert count(logits, total=True) == 3
    assert count(logits, total=False) == 3 + 1
    assert count(teacher, total=True) == 4
    assert count(teacher, total=False) == 4 + 2
    of_both = 4 if name == "kd_loss" else 6
    assert count(teacher, total=True, both=True) == of_both
    assert count(teacher, total=False, both=True) == of_both + 2


@pytest.mark.parametrize("name", ["kl_divergence", "ikl_loss", "gkl_loss"])
def test_logits_of_a_chunk_have_two_dimensions(name):
    # With a leading dimension of one, XLA for CPU takes ten times as long for some sums.
    student, _, logits = shapes()
    loss = getattr(linear_head, name)
    made = gradients(loss, student, logits, total=True, chunk_size=64)
    found = {
        variable.aval.shape
        for equation in equations(made, student, logits)
        for variable in equation.outvars
    }
    assert (64, V) in found
    assert not any(shape[-2:] == (64, V) and len(shape) > 2 for shape in found)


def test_the_normalizer_of_gkl_takes_a_product_of_the_targets_head_unless_given():
    student, teacher, logits = shapes()

    def count(target, **given):
        made = gradients(linear_head.gkl_loss, student, target, total=True, **given)
        return products(made, student, target)

    assert count(logits) == 3
    assert count(teacher) == 5
    assert count(teacher, normalizer=1.0) == 4


def test_a_frozen_kernel_has_no_gradient():
    student, _, logits = shapes()

    def by_hidden(hidden, kernel, target):
        loss = lambda h: linear_head.ikl_loss(Head(h, kernel), target).sum()
        return jax.grad(loss)(hidden)

    assert products(by_hidden, *student, logits) == 3


def test_memory_is_four_chunks_and_the_gradients(optimised):
    student, _, logits = shapes()
    made = gradients(linear_head.ikl_loss, student, logits, total=True, chunk_size=64)
    compiled = jax.jit(made).lower(student, logits).compile()
    chunk, by_kernel = 4 * 64 * V, 4 * H * V
    # On CPU a kernel's gradient is added to the sum as an array of its own, and a chunk
    # of the target is copied.
    allowed = 4 * chunk + 2 * by_kernel + 2 * 4 * T * H
    assert compiled.memory_analysis().temp_size_in_bytes <= allowed


@pytest.mark.long
@pytest.mark.parametrize("total", [True, False])
def test_memory_at_the_scale_of_a_language_model(total, optimised):
    tokens, width, classes = 8192, 2048, 152_000
    student, _, _ = shapes(tokens, width, classes)
    made = gradients(linear_head.ikl_loss, student, student, total=total)
    compiled = jax.jit(made).lower(student, student).compile()
    chunk = 4 * classes * Layout.create(tokens, classes, None).size
    by_kernel, by_hidden = 4 * width * classes, 2 * 4 * tokens * width
    found = compiled.memory_analysis().temp_size_in_bytes
    print(f"{(found - 2 * by_kernel) / chunk:.2f} chunks of {chunk / 1e9:.2f} GB")
    assert found <= 3 * chunk + 2 * by_kernel + by_hidden
    of_dense = jax.value_and_grad(
        lambda s: ikl_jax.ikl_loss(s[0] @ s[1], s[0] @ s[1]).sum()
    )
    dense = jax.jit(of_dense).lower(student).compile()
    assert dense.memory_analysis().temp_size_in_bytes > 4 * found


def test_the_default_chunk_does_not_grow_with_the_vocabulary():
    for classes in (10, 1000, 32_000, 50_257, 152_000, 262_144, 10**6):
        for tokens in (1, 7, 1000, 8192, 2**20):
            layout = Layout.create(tokens, classes, None)
            assert 4 * classes * (layout.size - 8) <= CHUNK_BYTES
            assert (
                (layout.count - 1) * layout.size < tokens <= layout.count * layout.size
            )
    assert Layout.create(8192, 152_000, None) == Layout(8192, 1024)
    assert Layout.create(8192, 32_000, None) == Layout(8192, 4096)
    assert Layout.create(100, 152_000, None) == Layout(100, 100)


def test_one_program_serves_all_calls():
    student, _, logits = (
        jax.tree.map(lambda x: jnp.ones(x.shape), each) for each in shapes(8, 2, 5)
    )
    call = lambda alpha: linear_head.ikl_loss(Head(*student), logits, alpha=alpha)
    first = call(1.0)
    before = passes.token_losses._cache_size()
    assert (call(2.0) >= first).all()
    assert passes.token_losses._cache_size() == before
