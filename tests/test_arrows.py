"""Rooms know only the rooms that the design lets them know."""

import ast
import graphlib
import subprocess
import sys

import pytest

from tests.conftest import ROOT

# What each library room may import from the library.
LEAVES = {"ikl_jax.types", "ikl_jax.checks"}
ROOMS = {
    "types": set(),
    "checks": {"ikl_jax.types"},
    "divergences": LEAVES,
    "distillation": LEAVES | {"ikl_jax.divergences"},
    "kernels": LEAVES | {"ikl_jax.divergences", "ikl_jax.distillation"},
    "linear_head": LEAVES | {"ikl_jax.divergences", "ikl_jax.distillation"},
    "class_means": LEAVES,
    "awp": LEAVES,
    "attacks": LEAVES | {"ikl_jax.version"},
    "models": LEAVES,
    "verify": LEAVES | {"ikl_jax.divergences"},
    "version": set(),
}
RUNTIME = {"jax", "flax", "chex", "numpy"}
# What `train` must not know.
OUTSIDE = {"configs", "tests", "benchmarks", "examples"}
# Each room may import its own and those below it, never one above or beside it.
DIVERGENCES = [
    {"decoupled"},
    {"raised_weights", "terms"},
    {"inputs", "kullback_leibler"},
    {"closed_form"},
    {"derivatives", "weighted_sums"},
]
KERNELS = [
    {"decoupled"},
    {"losses"},
    {"problem"},
    {"reverse_mode", "chosen"},
    {"mosaic", "triton"},
    {"passes", "blocks"},
    {"equations", "reductions", "forms", "rows"},
]
LINEAR_HEAD = [
    {"decoupled", "losses"},
    {"problem"},
    {"arguments", "passes"},
    {"rows"},
    {"layout", "products", "top_classes", "varying"},
    {"heads"},
]
ATTACKS = [{"ensemble"}, {"apgd", "fab", "pgd", "square"}, {"common"}]
DATA = [
    {"checks", "sources"},
    {"pipeline"},
    {"fingerprint", "mixture", "reader", "subsets"},
    {"augment", "corruptions"},
    {"formats"},
    {"splits"},
    {"noticed", "order"},
]
RECIPES = [
    {
        "adversarial",
        "distillation",
        "fixmatch",
        "mean_teacher",
        "requirements",
        "supervised",
    },
    {"perturbed"},
    {"accumulation", "attack", "semi_supervised"},
    {"recipe"},
    {"averaging", "optim"},
    {"losses", "state"},
]
TRAIN = [
    {
        "__main__",
        "compare",
        "convert",
        "convert_synthetic",
        "evaluate",
        "export",
        "margins",
        "pseudo_label",
        "report",
        "tune",
        "sweep",
    },
    {"cli"},
    {"search"},
    {"planning"},
    {"training"},
    {"release"},
    {"reports"},
    {"evaluation"},
    {"teachers"},
    {"experiment"},
    {"recipes"},
    {"networks"},
    {"devices"},
    {"data"},
    {"base"},
]


def imports(path):
    """Dotted names of the modules that a file imports, `from a import b` as a.b."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def files(folder):
    return sorted((ROOT / folder).rglob("*.py"))


def room_of(path):
    return path.relative_to(ROOT / "ikl_jax").with_suffix("").parts[0]


@pytest.mark.parametrize(
    "path", files("ikl_jax"), ids=lambda p: str(p.relative_to(ROOT))
)
def test_library_rooms(path):
    room = room_of(path)
    if room == "__init__":
        return
    for name in imports(path):
        package = name.split(".")[0]
        if package != "ikl_jax":
            assert package in RUNTIME | sys.stdlib_module_names, name
            continue
        allowed = ROOMS[room] | {f"ikl_jax.{room}"}
        module = ".".join(name.split(".")[:2])
        assert module in allowed, f"{path.name} must not know {name}"


def floors(package, order):
    """The files of a package's rooms, with the number of each one's floor."""
    levels = {room: level for level, rooms in enumerate(order) for room in rooms}
    for path in files(package.replace(".", "/")):
        room = path.relative_to(ROOT / package.replace(".", "/")).parts[0]
        room = room.removesuffix(".py")
        if room != "__init__":
            yield path, room, levels


@pytest.mark.parametrize(
    ("package", "order"),
    [
        ("ikl_jax.attacks", ATTACKS),
        ("ikl_jax.divergences", DIVERGENCES),
        ("ikl_jax.kernels", KERNELS),
        ("ikl_jax.linear_head", LINEAR_HEAD),
        ("train", TRAIN),
        ("train.data", DATA),
        ("train.recipes", RECIPES),
    ],
)
def test_arrows_between_rooms_point_down(package, order):
    upward = []
    for path, room, levels in floors(package, order):
        assert room in levels, f"{path}: name its floor in this file"
        for name in imports(path):
            if not name.startswith(f"{package}."):
                continue
            other = name.removeprefix(f"{package}.").split(".")[0]
            if other != room and levels[other] <= levels[room]:
                upward.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not upward, "\n".join(upward)


def module_of(name):
    """The file of a dotted name: a module, or what a module defines; None: neither."""
    for dotted in (name, name.rpartition(".")[0]):
        path = ROOT / dotted.replace(".", "/")
        for candidate in (path.with_suffix(".py"), path / "__init__.py"):
            if candidate.is_file():
                return candidate
    return None


@pytest.mark.parametrize("package", ["configs", "ikl_jax", "train"])
def test_no_files_import_each_other_in_a_circle(package):
    graph = {
        path: {module_of(name) for name in imports(path)} - {None, path}
        for path in files(package)
    }
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError


@pytest.mark.parametrize("path", files("configs"), ids=lambda p: p.name)
def test_configs_stand_alone(path):
    for name in imports(path):
        package = name.split(".")[0]
        allowed = {"configs", "ml_collections"} | sys.stdlib_module_names
        assert package in allowed, name


@pytest.mark.parametrize("path", files("train"), ids=lambda p: str(p.relative_to(ROOT)))
def test_recipes_do_not_know_configs_or_tests(path):
    for name in imports(path):
        assert name.split(".")[0] not in OUTSIDE, name


@pytest.mark.parametrize("path", files("examples"), ids=lambda p: p.name)
def test_examples_know_the_library_alone(path):
    allowed = {"examples", "ikl_jax", "optax"} | RUNTIME | sys.stdlib_module_names
    for name in imports(path):
        assert name.split(".")[0] in allowed, name


def test_importing_the_library_loads_nothing_of_the_recipes():
    heavy = ["grain", "tensorflow_datasets", "ml_collections", "sklearn", "matplotlib"]
    code = f"import sys, ikl_jax; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
