"""Devices of a topology, and what is said where there are none."""

import importlib.metadata
import importlib.util
import os
import types

import jax
import pytest
from jax.experimental import topologies
from jax.experimental.compilation_cache import compilation_cache

from train.base.errors import UserError
from train.devices import sharding, topology

PARALLEL = "--xla_tpu_impure_hlo_parallel_compile=true"
STACK = f"--default_thread_stack_size={topology.STACK}"
FIBERS = f"--fibers_default_thread_stack_size={topology.STACK}"


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """As if libtpu of the right version were installed."""
    monkeypatch.delenv("TPU_LIBRARY_PATH", raising=False)
    monkeypatch.setenv("LIBTPU_INIT_ARGS", "")
    package = types.SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: package)
    (tmp_path / "libtpu.so").write_bytes("\x00".join(topology.FLAGS).encode())
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.0.42.1")
    monkeypatch.setattr(
        importlib.metadata, "requires",
        lambda name: ["jaxlib<=1", 'libtpu==0.0.42.*; extra == "tpu"'],
    )  # fmt: skip
    topology._described.cache_clear()
    for name in ("TPU_WORKER_HOSTNAMES", "TPU_ACCELERATOR_TYPE"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    monkeypatch.setenv("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
    yield
    topology._described.cache_clear()


def answer(monkeypatch):
    """Knows one topology, of one device."""
    device = types.SimpleNamespace(device_kind="TPU v5 lite")
    found = types.SimpleNamespace(devices=[device])
    monkeypatch.setattr(topologies, "get_topology_desc", lambda **_: found)


def fail(monkeypatch, message):
    def described(**_):
        raise jax.errors.JaxRuntimeError(message)

    monkeypatch.setattr(topologies, "get_topology_desc", described)


def test_libtpu_that_is_not_installed(installed, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"not installed: pip install -e '\.\[plan-tpu"):
        topology.devices("v5e:2x2")


@pytest.mark.parametrize("version", ["0.0.41", "0.0.420.1", "1.0.0.42.1"])
def test_libtpu_of_another_version(version, installed, monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", lambda _: version)
    said = rf"JAX {jax.__version__} needs libtpu 0\.0\.42\.\*, got libtpu {version}"
    with pytest.raises(UserError, match=said):
        topology.devices("v5e:2x2")


def test_libtpu_of_the_right_version(installed):
    assert topology.missing() is None


def test_a_library_at_a_path_of_its_own(installed, monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setenv("TPU_LIBRARY_PATH", str(tmp_path / "own.so"))
    assert topology.missing()
    (tmp_path / "own.so").touch()
    assert topology.missing() is None


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        ("", [PARALLEL, STACK, FIBERS]),
        ("--xla_other=1", ["--xla_other=1", PARALLEL, STACK, FIBERS]),
        (
            "--xla_tpu_impure_hlo_parallel_compile=false",
            ["--xla_tpu_impure_hlo_parallel_compile=false", STACK, FIBERS],
        ),
        (
            "--fibers_default_thread_stack_size=8",
            ["--fibers_default_thread_stack_size=8", PARALLEL, STACK],
        ),
    ],
)
def test_libtpu_compiles_on_all_cores_with_large_stacks_unless_told(
    given, passed, installed, monkeypatch
):
    answer(monkeypatch)
    monkeypatch.setenv("LIBTPU_INIT_ARGS", given)
    topology.devices("v5e:2x2")
    assert os.environ["LIBTPU_INIT_ARGS"].split() == passed


@pytest.mark.parametrize("content", [b"another flag", b""])
def test_libtpu_is_given_no_flag_that_it_does_not_know(
    content, installed, monkeypatch, tmp_path
):
    answer(monkeypatch)
    (tmp_path / "libtpu.so").write_bytes(content)
    topology.devices("v5e:2x2")
    assert os.environ["LIBTPU_INIT_ARGS"] == ""


def test_libtpu_that_is_locked(installed, monkeypatch):
    fail(
        monkeypatch,
        "ABORTED: Internal error when accessing libtpu multi-process lockfile. Run ...",
    )
    with pytest.raises(UserError, match="locked by another process; end that process"):
        topology.devices("v5e:2x2")


def test_a_topology_that_libtpu_does_not_know(installed, monkeypatch):
    fail(monkeypatch, "INVALID_ARGUMENT: Invalid TPU external name: TPU v9\nfrom")
    said = r"topology must .* such as v4:.*, got 'v9:2x2' \(Invalid TPU external name: TPU v9\)$"
    with pytest.raises(UserError, match=said):
        topology.devices("v9:2x2")


def test_this_jax_says_which_libtpu_it_needs():
    wanted = topology._wanted_version()
    assert wanted is not None
    assert wanted.startswith("0.0.")


@pytest.mark.tpu
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("v5e:2x2", 4),
        ("v5e:1x1", 1),
        ("v4:2x2x1", 4),
        ("v5p:2x2x1", 4),
        ("v6e:4x4", 16),
    ],
)
def test_a_mesh_of_each_kind(name, count):
    devices = topology.devices(name)
    assert [device.platform for device in devices] == ["tpu"] * count
    mesh = sharding.create_mesh((-1, 1), devices)
    assert dict(mesh.shape) == {"data": count, "model": 1}
    assert set(mesh.devices.flat) == set(devices)
    assert sharding.platform(mesh) == "tpu"


@pytest.mark.tpu
@pytest.mark.parametrize("name", ["v9:2x2", "v5e:3x5", "v5e", "", "v5e:0x0"])
def test_names_that_libtpu_refuses(name):
    with pytest.raises(UserError, match="topology must be one that libtpu knows"):
        topology.devices(name)


def test_programs_that_cannot_be_read_again_are_not_kept(tmp_path):
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    least = jax.config.jax_persistent_cache_min_compile_time_secs
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    try:
        with topology.uncached():
            jax.jit(lambda x: x * 3.25).lower(1.0).compile()
        assert not list(tmp_path.iterdir())
        jax.jit(lambda x: x * 4.25).lower(1.0).compile()
        assert list(tmp_path.iterdir())
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", least)
        compilation_cache.reset_cache()
