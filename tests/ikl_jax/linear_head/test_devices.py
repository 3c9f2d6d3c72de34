"""Tokens divided over the axis `data` of a mesh, the vocabulary over `model`."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from ikl_jax import linear_head
from ikl_jax.linear_head import Grouped, Head, TopK, TopKWithRest
from tests.ikl_jax.linear_head import cases
from train.planning import hlo

T, H, V, K, CHUNK = 64, 6, 24, 5, 16
ROWS, COLUMNS = PartitionSpec("data"), PartitionSpec(None, "model")
WHOLE = PartitionSpec()


@functools.cache
def arrays():
    """Arguments of the losses, each with the place of it on a mesh."""
    rng = np.random.default_rng(0)
    draw = lambda *shape: jnp.asarray(rng.standard_normal(shape), jnp.float32)
    indices = np.argsort(rng.standard_normal((T, V)), axis=1)[:, :K].astype(np.int32)
    return {
        "hidden": (draw(T, H), ROWS),
        "kernel": (draw(H, V), COLUMNS),
        "teacher hidden": (draw(T, 10), ROWS),
        "teacher kernel": (draw(10, V), COLUMNS),
        "logits": (draw(T, V), PartitionSpec("data", "model")),
        "top": (draw(T, K), ROWS),
        "indices": (jnp.asarray(indices), ROWS),
        "rest": (draw(T), ROWS),
        "table": (jax.nn.softmax(draw(3, V)), COLUMNS),
        "groups": (jnp.arange(T) % 3, ROWS),
        "each": (jnp.abs(draw(T)), ROWS),
        "where": (jnp.arange(V) < V - 3, PartitionSpec("model")),
    }


def teacher(x):
    return Head(x["teacher hidden"], x["teacher kernel"])


def student(x):
    return Head(x["hidden"], x["kernel"])


def by_token(loss):
    return lambda x, **given: jnp.sum(x["each"] * loss(x, **given))


CASES = {
    "ikl, groups": lambda x, **given: linear_head.ikl_loss(
        student(x), x["logits"], Grouped(x["table"], x["groups"]),
        where=x["where"], example_weights=x["each"], **given,
    ),
    "kl, heads": lambda x, **given: linear_head.kl_divergence(
        student(x), teacher(x), example_weights=x["each"], **given
    ),
    "gkl, heads, by token": by_token(
        lambda x, **given: linear_head.gkl_loss(student(x), teacher(x), gamma=0.5, **given)
    ),
    "ikl, top k": lambda x, **given: linear_head.ikl_loss(
        student(x), TopK(x["top"], x["indices"]), example_weights=x["each"], **given
    ),
    "kd, top k with rest, by token": by_token(
        lambda x, **given: linear_head.kd_loss(
            student(x), TopKWithRest(x["top"], x["indices"], x["rest"]), **given
        )
    ),
}  # fmt: skip
QUICK = ("ikl, top k",)
every_case = pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n in QUICK else pytest.mark.long) for n in CASES],
)
TRAINED = ("hidden", "kernel")


def create_mesh(devices=None, shape=(2, 4)):
    axes = (AxisType.Auto,) * 2
    return jax.make_mesh(shape, ("data", "model"), axis_types=axes, devices=devices)


def value_and_gradients(loss, **given):
    def of(trained, others):
        return loss({**trained, **others}, **given)

    return jax.value_and_grad(of)


def split(values):
    trained = {name: values[name] for name in TRAINED}
    return trained, {name: x for name, x in values.items() if name not in TRAINED}


def placed(mesh):
    return {name: NamedSharding(mesh, spec) for name, (_, spec) in arrays().items()}


def compiled(name, mesh):
    """The program whose arguments and gradients lie on the mesh, and the arguments."""
    places = placed(mesh)
    given = split({n: jax.device_put(x, places[n]) for n, (x, _) in arrays().items()})
    out = NamedSharding(mesh, WHOLE), split(places)[0]
    jitted = jax.jit(
        value_and_gradients(CASES[name], chunk_size=CHUNK), out_shardings=out
    )
    return jitted.lower(*given).compile(), given


def expected(name):
    values = {n: x for n, (x, _) in arrays().items()}
    return jax.jit(value_and_gradients(CASES[name], chunk_size=CHUNK))(*split(values))


@every_case
def test_as_on_one_device_and_no_logits_are_gathered(name):
    program, given = compiled(name, create_mesh())
    cases.assert_close(program(*given), expected(name), 1e-4)
    found = hlo.collectives(program.as_text())
    # Sums of a chunk's tokens, the gradient of its hidden states, that of the kernel.
    rows = CHUNK // 2
    sizes = {1, rows, rows * K, rows * H, H * V // 4}
    for each in found:
        for array in each.arrays:
            # Positions of the top k are gathered: two integers for each.
            is_index = array.dtype == "s32" and np.prod(array.shape) == CHUNK * K * 2
            assert np.prod(array.shape, dtype=int) in sizes or is_index, each
    assert {each.kind for each in found} <= {"all-reduce", "all-gather"}
    assert any(np.prod(each.arrays[0].shape, dtype=int) == rows for each in found)


def by_hand(mesh, name="kl, heads"):
    """The loss under `shard_map` over the tokens; the compiler divides the columns."""
    specs = {
        n: ROWS if spec[:1] == ("data",) else WHOLE for n, (_, spec) in arrays().items()
    }

    def of(trained, others):
        def loss(trained):
            mine = CASES[name]({**trained, **others}, chunk_size=CHUNK // 2)
            return jax.lax.psum(mine, "data")

        return jax.value_and_grad(loss)(trained)

    return jax.shard_map(
        of, mesh=mesh, in_specs=split(specs), out_specs=(WHOLE, split(specs)[0]),
        axis_names={"data"},
    )  # fmt: skip


@pytest.mark.long
def test_under_shard_map_the_kernels_gradient_is_summed_once():
    mesh, places = create_mesh(), placed(create_mesh())
    values = {n: jax.device_put(x, places[n]) for n, (x, _) in arrays().items()}
    out = NamedSharding(mesh, WHOLE), split(places)[0]
    program = jax.jit(by_hand(mesh), out_shardings=out).lower(*split(values)).compile()
    cases.assert_close(program(*split(values)), expected("kl, heads"), 1e-4)
    found = hlo.collectives(program.as_text())
    assert {each.kind for each in found} == {"all-reduce"}
    of_kernel = [
        each for each in found
        for array in each.arrays if np.prod(array.shape, dtype=int) == H * V // 4
    ]  # fmt: skip
    assert [each.times for each in of_kernel] == [1]


def test_a_vocabulary_that_shard_map_divides_is_refused():
    mesh = create_mesh()
    loss = lambda h, w, m: linear_head.ikl_loss(Head(h, w), m)
    sharded = jax.shard_map(
        loss, mesh=mesh, in_specs=(ROWS, COLUMNS, PartitionSpec("data", "model")),
        out_specs=ROWS,
    )  # fmt: skip
    given = [arrays()[name][0] for name in ("hidden", "kernel", "logits")]
    with pytest.raises(
        ValueError,
        match="student.kernel must hold the whole vocabulary, got a part of it along "
        "model; leave that axis of the mesh out of the axis_names of shard_map",
    ):
        jax.eval_shape(sharded, *given)


def explicit_mesh():
    return jax.make_mesh((2, 4), ("data", "model"), axis_types=(AxisType.Explicit,) * 2)


def on_mesh(mesh, kernel, *spec):
    return jax.device_put(kernel, NamedSharding(mesh, PartitionSpec(*spec)))


def losses(hidden, kernel, target):
    return linear_head.ikl_loss(Head(hidden, kernel), target, chunk_size=CHUNK)


def refused(place):
    """Ways to divide a kernel of 23 columns by 4, each a function of the other arrays."""
    spec = ROWS, COLUMNS, PartitionSpec("data", "model")
    return {
        "device_put": lambda h, w, m: jax.device_put(w, place),
        "jit": lambda h, w, m: jax.jit(losses, in_shardings=(None, place, None))(
            h, w, m
        ),
        "a shape": lambda h, w, m: jax.jit(losses).lower(
            h, jax.ShapeDtypeStruct(w.shape, w.dtype, sharding=place), m
        ),
        "the gradient": lambda h, w, m: jax.jit(
            jax.grad(lambda w: losses(h, w, m).sum()), out_shardings=place
        ).lower(w),
        "explicit axes": lambda h, w, m: on_mesh(explicit_mesh(), w, None, "model"),
        "shard_map": lambda h, w, m: jax.eval_shape(
            jax.shard_map(losses, mesh=place.mesh, in_specs=spec, out_specs=ROWS),
            h,
            w,
            m,
        ),
    }


@pytest.mark.parametrize("way", refused(None))
def test_an_axis_that_does_not_divide_the_vocabulary_is_refused_by_jax(way):
    """The losses never see such a kernel: JAX refuses to place it, in its own words."""
    hidden, kernel, logits = (arrays()[x][0] for x in ("hidden", "kernel", "logits"))
    attempt = refused(NamedSharding(create_mesh(), COLUMNS))[way]
    with pytest.raises(
        ValueError,
        match="partitioned 4 times|divisible by 4, but it is equal to 23|not evenly divisible",
    ):
        attempt(hidden, kernel[:, :23], logits[:, :23])


def test_a_mere_constraint_may_divide_any_vocabulary():
    place = NamedSharding(create_mesh(), COLUMNS)
    hidden, kernel, logits = (arrays()[x][0] for x in ("hidden", "kernel", "logits"))
    given = hidden, kernel[:, :23], logits[:, :23]
    divided = lambda h, w, m: losses(h, jax.lax.with_sharding_constraint(w, place), m)
    cases.assert_close(jax.jit(divided)(*given), losses(*given), 1e-5)


def test_explicit_axes_are_refused_unless_auto_axes_hides_them():
    mesh = explicit_mesh()
    hidden, kernel, logits = (arrays()[x][0] for x in ("hidden", "kernel", "logits"))
    divided = on_mesh(mesh, kernel, None, "model")
    with pytest.raises(
        ValueError,
        match="student.kernel must be divided over axes of a mesh whose type is Auto, got "
        "Explicit axes model; create the mesh with Auto axes, or wrap the loss in "
        "jax.sharding.auto_axes",
    ):
        jax.eval_shape(losses, hidden, divided, logits)
    given = (
        on_mesh(mesh, hidden, "data"),
        divided,
        on_mesh(mesh, logits, "data", "model"),
    )
    hiding = jax.sharding.auto_axes(losses, out_sharding=ROWS)
    total = lambda loss: lambda *given: jnp.sum(loss(*given))
    with jax.set_mesh(mesh):
        found = jax.jit(jax.value_and_grad(total(hiding), (0, 1)))(*given)
    expected = jax.value_and_grad(total(losses), (0, 1))(hidden, kernel, logits)
    cases.assert_close(found, expected, 1e-4)
