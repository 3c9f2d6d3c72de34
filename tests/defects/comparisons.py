"""Defects of sweeps and comparisons: what is a run's state, a group, a difference."""

from tests.defects.defect import Defect

GROUPS = ("tests/train/reports/test_groups.py",)
DIFFERENCES = ("tests/train/reports/test_differences.py",)
TABLES = ("tests/train/reports/test_group_tables.py",)
DOORS = ("tests/train/doors/test_compare.py",)
GRID = ("tests/train/search/test_grid.py",)
RUNS = ("tests/train/search/test_runs.py",)
SLOTS = ("tests/train/search/test_slots.py",)
SWEEPS = ("tests/train/doors/test_sweep.py",)

DEFECTS = [
    Defect(
        "runs on other test data are seeds of one group",
        "train/reports/groups.py",
        'OF_RESULT = ("weights", "evaluated_on", "data_fingerprint")',
        'OF_RESULT = ("weights", "evaluated_on")',
        GROUPS,
    ),
    Defect(
        "a run that was copied counts twice",
        "train/reports/groups.py",
        "if seed in members:",
        "if (seed := (*seed, run.name)) in members:",
        GROUPS,
    ),
    Defect(
        "the deviation is that of the whole population",
        "train/reports/differences.py",
        "float(array.std(ddof=1)) if",
        "float(array.std(ddof=0)) if",
        DIFFERENCES,
    ),
    Defect(
        "the interval is that of the normal distribution",
        "train/reports/differences.py",
        "stats.t.ppf((1 + CONFIDENCE) / 2, count - 1)",
        "stats.norm.ppf((1 + CONFIDENCE) / 2)",
        DIFFERENCES,
    ),
    Defect(
        "the test by flipping signs is one-sided",
        "train/reports/differences.py",
        "sums = np.abs((signs * values).sum(axis=1))",
        "sums = (signs * values).sum(axis=1)",
        DIFFERENCES,
    ),
    Defect(
        "groups are subtracted in the order of their seeds, not by seed",
        "train/reports/differences.py",
        "np.array([ours[seed] - theirs[seed] for seed in seeds])",
        "np.array([a - b for a, b in zip(ours.values(), theirs.values())])",
        DIFFERENCES,
    ),
    Defect(
        "accuracies on other numbers of examples are averaged",
        "train/reports/measured.py",
        'attack, record["num_examples"], record["epsilon"], record.get("norm", ""),',
        'attack, 0, record["epsilon"], record.get("norm", ""),',
        TABLES,
    ),
    Defect(
        "NaN is averaged",
        "train/reports/comparison.py",
        "if math.isfinite(value)}",
        "}",
        TABLES,
    ),
    Defect(
        "a run of a sweep that has not finished is not named",
        "train/reports/folders.py",
        'notes.append(f"{each.name} is {_unfinished(each)}, and is left out")',
        "pass",
        DOORS,
    ),
    Defect(
        "two values of a sweep share a folder",
        "train/search/cells.py",
        "if plain == whole and len(whole) <= LONGEST:",
        "if len(whole) <= LONGEST:",
        GRID,
    ),
    Defect(
        "a folder of another config is used",
        "train/search/standing.py",
        "if changed:",
        "if changed and False:",
        RUNS,
    ),
    Defect(
        "a result of fewer epochs ends a run of a sweep",
        "train/search/standing.py",
        'if result is None or result.get("epochs") != _epochs(cell, result):',
        "if result is None:",
        RUNS,
    ),
    Defect(
        "an evaluation of earlier weights counts",
        "train/search/standing.py",
        'if mark is None or mark["weights_checksum"] != result.get("weights_checksum"):',
        "if mark is None:",
        RUNS,
    ),
    Defect(
        "a run that fails ends the sweep",
        "train/search/runs.py",
        'self._fail(name, f"{error} (log: {child.log})")',
        'self._waiting.clear(); self._fail(name, f"{error} (log: {child.log})")',
        RUNS,
    ),
    Defect(
        "a run outlives a sweep that is killed",
        "train/search/start.py",
        "prctl(PR_SET_PDEATHSIG, signal.SIGTERM)",
        "prctl(PR_SET_PDEATHSIG, 0)",
        RUNS,
    ),
    Defect(
        "more runs than GPUs begin",
        "train/search/slots.py",
        "if count > len(gpus):",
        "if False:",
        SLOTS,
    ),
    Defect(
        "values that no run can use are found by the runs",
        "train/sweep.py",
        "validation.validate(config)",
        "pass",
        SWEEPS,
    ),
]
