"""Defects of a search: its space, its trials and their processes, what it shows."""

from tests.defects.defect import Defect

SPACE = ("tests/train/search/test_space.py",)
STUDIES = ("tests/train/search/test_studies.py",)
TUNING = ("tests/train/search/test_tuning.py",)
FOUND = ("tests/train/search/test_found.py",)

DEFECTS = [
    Defect(
        "a search may choose among its trials on the test part",
        "train/search/comparable.py",
        'if config.data.evaluate_on != "validation":',
        'if config.data.evaluate_on == "nothing":',
        SPACE,
    ),
    Defect(
        "a range of numbers may be empty",
        "train/search/space.py",
        "if not ends.low < ends.high:",
        "if not ends.low <= ends.high:",
        SPACE,
    ),
    Defect(
        "the attack of the evaluation may vary",
        "train/search/comparable.py",
        'if field in OF_THE_ATTACK and "robust" in objectives:',
        'if field in OF_THE_ATTACK and "robust" not in objectives:',
        SPACE,
    ),
    Defect(
        "only one end of a range is tried on the config",
        "train/search/comparable.py",
        "for value in each.ends)",
        "for value in each.ends[1:])",
        SPACE,
    ),
    Defect(
        "a trial that another process runs counts as dead",
        "train/search/studies.py",
        "lock.held(_lock(workdir, trial.number), workdir)",
        "contextlib.nullcontext()",
        STUDIES,
    ),
    Defect(
        "every trial draws the same values",
        "train/search/studies.py",
        "seed = wanted.seed * 1_000_003 + number",
        "seed = wanted.seed * 1_000_003",
        STUDIES,
    ),
    Defect(
        "a trial that was asked for again counts twice",
        "train/search/studies.py",
        "count = sum(trial.number not in again for trial in trials)",
        "count = len(trials)",
        TUNING,
    ),
    Defect(
        "a study goes on with another space",
        "train/search/studies.py",
        'for name in ("space", "objectives"):',
        'for name in ("objectives",):',
        STUDIES,
    ),
    Defect(
        "a trial that died begins in a new folder",
        "train/search/studies.py",
        '"folder": trial.user_attrs.get("folder", f"{trial.number:04}"),',
        '"before": trial.user_attrs.get("folder", f"{trial.number:04}"),',
        STUDIES,
    ),
    Defect(
        "a trial may be pruned an epoch too early",
        "train/search/studies.py",
        "int(FIRST_EPOCHS * wanted.config.epochs) + 1",
        "int(FIRST_EPOCHS * wanted.config.epochs)",
        STUDIES,
    ),
    Defect(
        "a trial is pruned at its last evaluation",
        "train/search/trials.py",
        "if epoch < config.epochs:",
        "if epoch <= config.epochs:",
        TUNING,
    ),
    Defect(
        "an evaluation is reported again at every look",
        "train/search/trials.py",
        "for number in range(self._reported, len(found)):",
        "for number in range(len(found)):",
        TUNING,
    ),
    Defect(
        "a run that was killed is not repeated",
        "train/search/trials.py",
        "return code < 0 or code in",
        "return code in",
        TUNING,
    ),
    Defect(
        "importance takes a range in logarithms as it is",
        "train/search/importance.py",
        "return math.log(value) if values.log else float(value)",
        "return float(value)",
        FOUND,
    ),
    Defect(
        "the front keeps what is worse everywhere",
        "train/search/found.py",
        "return point != other and all(",
        "return point != other and not any(",
        FOUND,
    ),
    Defect(
        "the best config lacks the values that were chosen",
        "train/search/config_file.py",
        "config.update_from_flattened_dict(CHOSEN)",
        "config.update_from_flattened_dict({{}})",
        TUNING,
    ),
    Defect(
        "a picture draws all trials at the first choice",
        "train/reports/sensitivity.py",
        "place = choices.index(_text(x)) if choices else x",
        "place = 0 if choices else x",
        FOUND,
    ),
]
