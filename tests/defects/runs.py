"""Defects of networks, devices, experiments, teachers and the training loop."""

from tests.defects.defect import Defect

BAD_RUNS = (
    "tests/train/doors/test_bad_runs.py",
    "tests/train/doors/test_bad_folders.py",
)
CHECKPOINT = (
    "tests/train/experiment/test_checkpoint.py",
    "tests/train/experiment/test_checksums.py",
)
SHARDING = ("tests/train/devices/test_sharding.py",)
TEACHER = ("tests/train/teachers",)

DEFECTS = [
    Defect(
        "the checksum of a restored leaf is not compared",
        "train/experiment",
        "if found.get(n) != digest]",
        "if n not in found]",
        CHECKPOINT,
    ),
    Defect(
        "the checksum of a leaf does not depend on the order of its entries",
        "train/experiment",
        "odd = place * jnp.uint32(0x9E3779B1) | jnp.uint32(1)",
        "odd = jnp.uint32(1)",
        CHECKPOINT,
    ),
    Defect(
        "the oldest checkpoint is restored first",
        "train/experiment",
        "self._first_whole(steps[::-1], template",
        "self._first_whole(steps, template",
        CHECKPOINT,
    ),
    Defect(
        "the worst checkpoint is the best one",
        "train/experiment",
        "key=lambda step: (-same[step], step)",
        "key=lambda step: (same[step], step)",
        ("tests/train/experiment/test_scores.py",),
    ),
    Defect(
        "scores of different evaluations are compared",
        "train/experiment",
        "each.measure == measure",
        "each.measure != None",
        ("tests/train/experiment/test_scores.py",),
    ),
    Defect(
        "steps_per_epoch has no effect",
        "train/experiment",
        "steps_per_epoch = config.steps_per_epoch or len(sizes)",
        "steps_per_epoch = len(sizes)",
        ("tests/train/training/test_steps_per_epoch.py",),
    ),
    Defect(
        "the last epoch's weights cannot be the best",
        "train/training",
        "if every and (epoch % every == 0 or last):",
        "if every and epoch % every == 0 and not last:",
        ("tests/train/training/test_best_weights.py",),
    ),
    Defect(
        "any matrix is divided as the classifier's kernel",
        "train/devices",
        "by_classes = _parameter(_names(path), parameters) == kernel and leaf.ndim == 2",
        "by_classes = leaf.ndim == 2",
        SHARDING,
    ),
    Defect(
        "any field of a config may change when a run resumes",
        "train/experiment",
        '"epochs", "mesh", "fsdp", "accumulate", "model.remat"',
        '"epochs", "model.", "data.", "mesh", "fsdp", "accumulate", "model.remat"',
        BAD_RUNS,
    ),
    Defect(
        "padded columns count as classes",
        "train/networks",
        "return column < num_classes",
        "return column <= num_classes",
        (
            "tests/train/networks/test_classes.py",
            "tests/train/devices/test_sharding.py",
        ),
    ),
    Defect(
        "padding is rounded down",
        "train/networks",
        "return -(-num_classes // multiple_of) * multiple_of",
        "return num_classes // multiple_of * multiple_of",
        SHARDING,
    ),
    Defect(
        "a teacher that has not finished is accepted",
        "train/teachers",
        'result["epochs"] != opened.config.epochs:',
        'result["epochs"] > opened.config.epochs:',
        TEACHER,
    ),
    Defect(
        "damaged teacher logits are used",
        "train/teachers",
        "_checksum(logits) != about.get(",
        "_checksum(logits) == about.get(",
        TEACHER,
    ),
    Defect(
        "the teacher's logits of padded rows are kept",
        "train/teachers",
        "yield np.asarray(gathered(teacher.logits(images)))[valid]",
        "yield np.asarray(gathered(teacher.logits(images)))",
        TEACHER,
    ),
    Defect(
        "a metric that is not finite goes on if another one is",
        "train/training",
        "if not all(math.isfinite(value)",
        "if not any(math.isfinite(value)",
        ("tests/train/training/test_health.py", *BAD_RUNS),
    ),
    Defect(
        "a resumed log keeps lines of steps that will be made again",
        "train/training",
        'and line["step"] <= until]',
        'and line["step"] >= 0]',
        BAD_RUNS,
    ),
    Defect(
        "a finished run of fewer epochs counts as finished",
        "train/training",
        'result["epochs"] == config.epochs',
        'result["epochs"] <= config.epochs',
        ("tests/train/training/test_finished.py",),
    ),
    Defect(
        "a batch may be one that the devices do not divide",
        "train/devices",
        'if size % mesh.shape["data"]:',
        'if size < mesh.shape["data"]:',
        BAD_RUNS,
    ),
    Defect(
        "a plan counts a multiplication and an addition as one operation",
        "train/planning",
        "return 2 * images * places",
        "return images * places",
        ("tests/train/planning/test_plan.py",),
    ),
    Defect(
        "a failure of the user's ends with the exit code of success",
        "train/cli",
        "FAILED = 1",
        "FAILED = 0",
        BAD_RUNS,
    ),
    Defect(
        "a NaN in a config is a finite number",
        "train/base/contents.py",
        "return type(value) in (int, float) and math.isfinite(value)",
        "return type(value) in (int, float)",
        ("tests/train/base/test_contents.py",),
    ),
    Defect(
        "integers beyond 32 bits reach the device",
        "train/base/contents.py",
        "return type(value) is int and abs(value) <= LARGEST",
        "return type(value) is int",
        ("tests/train/base/test_contents.py",),
    ),
    Defect(
        "a random key that is restored as plain numbers is used",
        "train/experiment/checkpoint.py",
        "if (leaf.shape, leaf.dtype) != (like.shape, like.dtype):",
        "if leaf.ndim < 0:",
        CHECKPOINT,
    ),
    Defect(
        "the first Ctrl-C is not noted",
        "train/devices/preemption.py",
        "self._asked = self._asked or CTRL_C",
        "self._asked = self._asked",
        ("tests/train/doors/test_ends.py",),
    ),
    Defect(
        "epsilon may be larger than the box",
        "train/recipes/attack.py",
        "if epsilon > largest:",
        "if epsilon > 255 * largest:",
        BAD_RUNS,
    ),
    Defect(
        "an error's text keeps its line breaks",
        "train/cli",
        "' '.join(str(error).split())",
        "str(error)",
        ("tests/train/cli",),
    ),
]
