"""Loops that are compiled in another form for each platform."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax.attacks.common import loops

X = jnp.full((8, 4), 0.5)
PLATFORMS = ["cpu", "tpu", "cuda", "rocm"]


def repeated(x):
    return loops.repeat(lambda x, i: jnp.sin(x) * (i + 1), x, 5, first=2)


def summed(x):
    return loops.total(lambda i: jnp.sin(i * x), 5)


def lowered(fn, platform):
    return jax.jit(fn).trace(X).lower(lowering_platforms=(platform,)).as_text()


@pytest.mark.parametrize("form", ["side_by_side", "in_turn"])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_sums_are_the_same_side_by_side_or_in_turn(form, count, request):
    if form == "in_turn":
        request.getfixturevalue("accelerators_form")
    got = loops.total(lambda i: {"a": i * X, "b": jnp.cos(i)}, count)
    np.testing.assert_allclose(got["a"], sum(range(count)) * X)
    np.testing.assert_allclose(got["b"], np.cos(np.arange(count)).sum(), rtol=1e-5)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_steps_are_a_loop_except_on_cpu(platform):
    on_cpu = platform == "cpu"
    assert ("while" in lowered(repeated, platform)) == (not on_cpu)
    one_step = lambda x: loops.repeat(lambda x, i: x + i, x, 1)
    assert "while" not in lowered(one_step, platform)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_terms_are_side_by_side_on_cpu_and_in_turn_elsewhere(platform):
    shapes = {"cpu": "5x8x4xf32"}
    sines = [line for line in lowered(summed, platform).splitlines() if "sine" in line]
    assert sines
    shape = f"tensor<{shapes.get(platform, '8x4xf32')}>"
    assert all(shape in line for line in sines)


def test_a_form_of_the_callers_choice_is_for_all_platforms():
    chosen = lambda x: loops.repeat(lambda x, i: x + i, x, 5, unroll=1)
    assert all("while" in lowered(chosen, platform) for platform in PLATFORMS)
    straight = lambda x: loops.repeat(lambda x, i: x + i, x, 5, unroll=5)
    assert not any("while" in lowered(straight, platform) for platform in PLATFORMS)


def test_what_is_repeated_is_traced_once():
    traced = []

    def step(x, i):
        traced.append("step")
        return x + i

    def term(i):
        traced.append("term")
        return i * X

    jax.make_jaxpr(lambda x: loops.repeat(step, x, 5))(X)
    jax.make_jaxpr(lambda: loops.total(term, 5))()
    assert traced == ["step", "term"]


@pytest.mark.parametrize("fn", [repeated, pytest.param(summed, marks=pytest.mark.long)])
def test_under_transformations_it_is_the_same(fn):
    expected = jax.jit(fn)(X)
    same = lambda got: np.testing.assert_allclose(got, expected, rtol=1e-6)
    same(fn(X))
    same(jax.vmap(fn)(X))
    mesh = jax.make_mesh((8,), ("data",), (jax.sharding.AxisType.Auto,))
    rows = jax.P("data")
    for checked in (True, False):
        each = jax.shard_map(
            fn, mesh=mesh, in_specs=rows, out_specs=rows, check_vma=checked
        )
        same(jax.jit(each)(X))
    placed = jax.NamedSharding(mesh, rows)
    same(jax.jit(fn, in_shardings=placed, out_shardings=placed)(X))
    tangent = jax.jvp(fn, (X,), (X,))[1]
    gradient = jax.grad(lambda x: jnp.sum(fn(x)))(X)
    np.testing.assert_allclose(jnp.sum(gradient * X), jnp.sum(tangent), rtol=1e-5)
    exported = jax.export.export(jax.jit(fn), platforms=("cpu", "tpu", "cuda"))(X)
    same(jax.export.deserialize(exported.serialize()).call(X))


def test_the_networks_arrays_say_where_its_program_runs(monkeypatch):
    elsewhere = jax.jit(lambda x: loops.gradient_steps([x]) * x)
    on_cpu = loops.gradient_steps([X])
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    on_tpu = loops.gradient_steps()
    assert on_cpu < on_tpu
    assert loops.gradient_steps([X]) == on_cpu
    assert elsewhere(1.0) == loops.gradient_steps([np.ones(3)]) == on_tpu
