"""FAB's compiled programs: how many, how long they run, and what they contain."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax import attacks
from ikl_jax.attacks.common import loops
from ikl_jax.attacks.fab import nearest
from ikl_jax.attacks.fab.search import Fab
from tests.ikl_jax.attacks.fab.problems import (
    CLASSES,
    FEATURES,
    ROWS,
    X,
    attack_of,
    linear,
    mlp,
    other_classes,
    predictions,
    program_arguments,
    run,
)


def counted(attack, monkeypatch):
    """How many chunks are called, one entry each."""
    advance, calls = attack._advance, []
    monkeypatch.setitem(
        attack.__dict__, "_advance", lambda *a: calls.append(a) or advance(*a)
    )
    return calls


def test_ends_when_all_are_broken(monkeypatch):
    labels = predictions(linear, X)
    targets = other_classes(labels)
    for epsilon, least, most in ((1.0, 1, 3), (0.0, 8, 8)):
        attack = attack_of(linear, epsilon=epsilon, steps=8)
        calls = counted(attack, monkeypatch)
        run(attack, X, labels, targets)
        assert least <= len(calls) <= most


def test_is_compiled_once_though_the_last_chunk_is_partial(monkeypatch):
    monkeypatch.setattr(loops, "gradient_steps", lambda *_: 2)
    labels = predictions(linear, X)
    targets = other_classes(labels)
    traced, step = [], Fab._step
    monkeypatch.setattr(Fab, "_step", lambda *a: traced.append(None) or step(*a))
    attack = attack_of(linear, epsilon=0.0, steps=3)
    run(attack, X, labels, targets)
    before = len(traced)
    run(attack, 1 - X, labels, targets)
    assert len(traced) == before >= 1


@pytest.mark.long
def test_a_partial_chunk_makes_no_more_steps(monkeypatch):
    labels = predictions(mlp, X)
    targets = other_classes(labels)
    monkeypatch.setattr(nearest, "LOOKS", 0)
    run = lambda steps: attacks.fab(mlp, X, labels, targets, steps=steps)
    alone, more = run(3), run(4)
    monkeypatch.setattr(loops, "gradient_steps", lambda *_: 2)
    np.testing.assert_allclose(run(3).distance, alone.distance, rtol=1e-5)
    assert (np.asarray(more.distance) < np.asarray(alone.distance)).any()


RNG = np.random.default_rng(2)
KERNELS = [
    RNG.standard_normal(s).astype(np.float32) for s in ((3, 3, 1, 4), (3, 3, 4, 3))
]


def cnn(x):
    for kernel in KERNELS:
        x = jax.lax.conv_general_dilated(
            x, jnp.asarray(kernel), (2, 2), "SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )  # fmt: skip
        x = jnp.tanh(x)
    return x.mean((1, 2))


def inner_programs(equation):
    """The programs within an operation, all branches of a conditional among them."""
    values = [
        part
        for value in equation.params.values()
        for part in (value if isinstance(value, tuple) else (value,))
    ]
    return [
        value.jaxpr if hasattr(value, "jaxpr") else value
        for value in values
        if hasattr(value, "jaxpr") or hasattr(value, "eqns")
    ]


def loop_bodies(jaxpr):
    """The programs inside of loops that are loops whatever `loops.repeat` does."""
    for equation in jaxpr.eqns:
        if equation.primitive.name == "while":
            yield from inner_programs(equation)
        for program in inner_programs(equation):
            yield from loop_bodies(program)


def test_no_convolution_is_in_a_loop_on_cpu(monkeypatch):
    """Their gradients are slow there; the loops of projections are of a few numbers."""
    monkeypatch.setattr(loops, "gradient_steps", lambda *_: 3)
    images = jnp.asarray(RNG.random((2, 8, 8, 1)), jnp.float32)
    attack = attack_of(cnn, images, epsilon=0.1, steps=6)
    zeros = jnp.zeros(2, int)
    arguments = program_arguments(attack, images, zeros, zeros + 1)
    compiled = attack._advance.lower(*arguments).compile().as_text()
    # XLA makes loops of its own, of scatters; those of the code end in this name.
    ours = re.findall(r' while\(.*op_name="[^"]*/while"', compiled)
    assert len(ours) == 3  # the projections of each step
    bodies = [*loop_bodies(jax.make_jaxpr(attack._advance)(*arguments).jaxpr)]
    assert bodies
    assert not any("conv_general_dilated" in str(body) for body in bodies)


def test_the_weights_are_arguments_of_the_program():
    big = jnp.asarray(RNG.standard_normal((FEATURES, 5000)), jnp.float32)
    attack = attack_of(lambda x: (x @ big)[:, :CLASSES], epsilon=0.1, steps=2)
    assert any(array.size == big.size for array in attack.classifier.arrays)
    labels = jnp.zeros(ROWS, int)
    arguments = program_arguments(attack, X, labels, labels + 1)
    assert len(attack._advance.lower(*arguments).as_text()) < 200_000
    for program, given in (
        (attack._advance, arguments),
        (attack._finish, (*arguments[:2], arguments[2].nearest)),
    ):
        constants = jax.make_jaxpr(program)(*given).consts
        assert not any(np.size(array) == big.size for array in constants)


def lines(jaxpr):
    """The number of operations of a program, with those of its inner programs."""
    inner = [program for equation in jaxpr.eqns for program in inner_programs(equation)]
    return len(jaxpr.eqns) + sum(map(lines, inner))


def test_the_untargeted_program_grows_neither_with_the_classes_nor_with_the_steps():
    def size(classes, steps):
        weights = jnp.asarray(RNG.standard_normal((FEATURES, classes)), jnp.float32)
        labels = jnp.zeros(ROWS, jnp.int32)
        run = lambda x: attacks.fab(lambda x: x @ weights, x, labels, steps=steps)
        return lines(jax.make_jaxpr(run)(X).jaxpr)

    assert size(3, 50) == size(40, 50) == size(40, 5)
