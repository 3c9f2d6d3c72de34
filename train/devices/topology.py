"""Devices of a TPU that is not there, to compile programs for.

TPU's compiler comes as the package `libtpu`, which needs no TPU: it knows by name how
the chips of each kind of slice are connected (a topology). A mesh of such devices is
used as any other, except that arrays cannot be put on it and programs cannot be run:

    mesh = sharding.create_mesh((-1, 1), topology.devices("v5e:2x2"))
    jax.jit(step).trace(state, batch).lower(lowering_platforms=("tpu",)).compile()
"""

import contextlib
import fnmatch
import functools
import importlib.metadata
import importlib.util
import mmap
import os
import re
from collections.abc import Iterator
from typing import Any

import jax
from jax.experimental import topologies
from jax.experimental.compilation_cache import compilation_cache

from train.base.errors import UserError

INSTALL = "pip install -e '.[plan-tpu]'"
# What libtpu is told unless LIBTPU_INIT_ARGS names it. It compiles the operations of a
# program on all cores, not on one. Its threads get larger stacks, since programs for
# v6e overflow its own; a stack takes memory only where it is used.
STACK = str(256 * 2**20)
FLAGS = {
    "xla_tpu_impure_hlo_parallel_compile": "true",
    "default_thread_stack_size": STACK,
    "fibers_default_thread_stack_size": STACK,
}
EXAMPLES = "v4:2x2x1, v5e:2x2, v5e:16x16, v5p:2x2x1 or v6e:4x4"


def missing() -> str | None:
    """Why there is no TPU compiler here, in one sentence; None: there is one."""
    if os.path.isfile(os.environ.get("TPU_LIBRARY_PATH", "")):
        return None  # a library of the user's choice, whose version nothing says
    if importlib.util.find_spec("libtpu") is None:
        return f"libtpu, the compiler for TPUs, is not installed: {INSTALL}"
    wanted, found = _wanted_version(), importlib.metadata.version("libtpu")
    if wanted is not None and not fnmatch.fnmatchcase(found, wanted):
        return (
            f"JAX {jax.__version__} needs libtpu {wanted}, got libtpu {found}: "
            f"{INSTALL}"
        )
    return None


def devices(name: str) -> list[Any]:
    """The `jax.Device`s of a topology, for a mesh; nothing can run on them.

    A device is what JAX shows as one: a chip, or half of a chip of v2, v3 and 7x.

    Args:
      name: a kind of chip and how many there are in each direction, such as "v5e:2x2".

    Raises:
      UserError: libtpu is not installed, is of another version than this JAX asks for,
        does not know the name, or is locked by another process.
    """
    if problem := missing():
        raise UserError(problem)
    if not name:  # libtpu would take one of its choice
        raise UserError(_explanation(name, "it has no name"))
    _prepare_environment()
    try:
        return _described(name)
    except jax.errors.JaxRuntimeError as error:
        raise UserError(_explanation(name, str(error))) from error


@contextlib.contextmanager
def uncached() -> Iterator[None]:
    """Compiles without JAX's folder of compiled programs.

    It takes programs for a topology, and warns when it cannot read them again, since
    there is no device to load them on.
    """
    settings: Any = jax.config
    before = settings.jax_enable_compilation_cache
    settings.update("jax_enable_compilation_cache", False)
    compilation_cache.reset_cache()  # it looks at the setting once
    try:
        yield
    finally:
        settings.update("jax_enable_compilation_cache", before)
        compilation_cache.reset_cache()


@functools.cache
def _described(name: str) -> list[Any]:
    options: dict[str, Any] = {}
    if name.endswith(":1x1"):  # libtpu expects hosts of four chips
        options["chips_per_host_bounds"] = (1, 1, 1)
    found: Any = _topology(name, **options)
    if found[0].device_kind == "TPU v4":  # its two cores are one device, as on a TPU VM
        found = _topology(name, chip_config_name="megacore", **options)
    return found


def _topology(name: str, **options: Any) -> list[Any]:
    return topologies.get_topology_desc(
        platform="tpu", topology_name=name, **options
    ).devices


def _prepare_environment() -> None:
    """Compiling needs neither the lock of libtpu nor what it looks for on a TPU VM."""
    os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
    if os.environ.get("TPU_SKIP_MDS_QUERY") == "1":  # JAX sets it where no chip is
        os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")
        os.environ.setdefault("TPU_ACCELERATOR_TYPE", "v5litepod-4")
    given = os.environ.get("LIBTPU_INIT_ARGS", "")
    named = {flag.lstrip("-").partition("=")[0] for flag in given.split()}
    added = [
        f"--{name}={value}"
        for name, value in FLAGS.items()
        if name not in named and _knows(name)
    ]
    os.environ["LIBTPU_INIT_ARGS"] = " ".join([given, *added]).strip()


def _knows(flag: str) -> bool:
    """Whether libtpu's library holds that name; it ends a process for one it lacks."""
    path = os.environ.get("TPU_LIBRARY_PATH") or _library()
    if not os.path.getsize(path):
        return False
    with (
        open(path, "rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        return content.find(flag.encode()) >= 0


def _library() -> str:
    spec = importlib.util.find_spec("libtpu")
    assert spec is not None  # `missing` has looked for it
    assert spec.submodule_search_locations is not None  # it is a package
    return os.path.join(next(iter(spec.submodule_search_locations)), "libtpu.so")


def _explanation(name: str, problem: str) -> str:
    if "lockfile" in problem or "already in use" in problem:
        return (
            "libtpu is locked by another process; end that process, or set "
            "ALLOW_MULTIPLE_LIBTPU_LOAD=1 to compile beside it"
        )
    reason = problem.splitlines()[0].partition(": ")[2] or problem
    return (
        f"topology must be one that libtpu knows, such as {EXAMPLES}, got {name!r} "
        f"({reason})"
    )


def _wanted_version() -> str | None:
    """The version of libtpu that this JAX asks for, such as "0.0.42.*"."""
    for requirement in importlib.metadata.requires("jax") or ():
        if match := re.match(r"libtpu\s*==\s*([\w.*]+)", requirement):
            return match[1]
    return None
