"""Baselines of mCE: AlexNet on ImageNet-C, another run, or numbers in a file."""

from collections.abc import Mapping, Sequence
from typing import Any

from train.base import contents, files
from train.base.errors import UserError
from train.data.corruptions.corrupted import COMMON
from train.data.corruptions.corruption import SEVERITIES
from train.evaluation import records
from train.evaluation.measures.corruptions.scores import Baseline

ALEXNET = "alexnet"
# Errors on ImageNet-C, each the mean over five severities, in the order of COMMON: the
# authors' spreadsheet (https://github.com/hendrycks/robustness, "Calculating the mCE"),
# as AugMix's code has them (https://github.com/google-research/augmix, imagenet.py).
ALEXNET_ERRORS = (
    0.886428, 0.894468, 0.922640, 0.819880, 0.826268, 0.785948, 0.798360, 0.866816,
    0.826572, 0.819324, 0.564592, 0.853204, 0.646056, 0.717840, 0.606500,
)  # fmt: skip
ALEXNET_NATURAL = 0.435  # the paper's table 1
CLASSES = 1000  # of ImageNet

MUST_BE_ALIKE = ("data_fingerprint", "evaluated_on", "num_examples", "corrupted_images")


def opened(
    text: str,
    names: Sequence[str],
    severities: Sequence[int],
    arguments: Mapping[str, Any],
    num_classes: int,
) -> Baseline:
    """The baseline that `--baseline` names.

    Args:
      text: "alexnet", the workdir of a run with a record of this measure, or a JSON
        file.
      names: of the corruptions that are evaluated.
      severities: that are evaluated.
      arguments: of the evaluation, which a run's record must share.
      num_classes: of the data.

    Raises:
      UserError: the baseline does not fit, or lacks an error.
    """
    if text == ALEXNET:
        return _alexnet(severities, num_classes)
    path = files.named(text, "--baseline")
    if path.suffix == ".json":
        return _of_file(path, names, severities)
    return _of_run(path, names, severities, arguments)


def _alexnet(severities: Sequence[int], num_classes: int) -> Baseline:
    if num_classes != CLASSES:
        raise UserError(
            f"--baseline=alexnet has errors on ImageNet-C's {CLASSES} classes, but the "
            f"data have {num_classes}: name the workdir of a run of these data, or a "
            "JSON file"
        )
    _need_all(severities, "--baseline=alexnet has means over five severities")
    errors = dict(zip(COMMON, ALEXNET_ERRORS, strict=True))
    return Baseline("AlexNet", errors, ALEXNET_NATURAL)


def _of_file(
    path: files.Path, names: Sequence[str], severities: Sequence[int]
) -> Baseline:
    """Numbers such as `{"natural_error": 0.1, "errors": {"fog": [0.2, ...]}}`."""
    content = contents.check_object(path, files.read_json(path))
    if "errors" not in content:
        raise UserError(f"{path} lacks the field errors")
    given = contents.check_object(f"{path}: errors", content["errors"])
    natural = content.get("natural_error")
    if natural is not None:
        _check_error(f"{path}: natural_error", natural)
    errors = {}
    for name in _all_there(path, names, given):
        where = f"{path}: errors of {name}"
        entries = given[name] if isinstance(given[name], list) else [given[name]]
        for entry in entries:
            _check_error(where, entry)
        if len(entries) == 1:
            _need_all(severities, f"{where} are a mean over five severities")
        elif len(entries) != len(SEVERITIES):
            raise UserError(
                f"{where} must be {len(SEVERITIES)} numbers, one a severity, or their "
                f"mean, got {len(entries)} numbers"
            )
        chosen = [entries[s - 1] for s in severities] if len(entries) > 1 else entries
        errors[name] = sum(chosen) / len(chosen)
    return Baseline(path.name, errors, natural)


def _of_run(
    workdir: files.Path,
    names: Sequence[str],
    severities: Sequence[int],
    arguments: Mapping[str, Any],
) -> Baseline:
    """The newest record of the measure in a workdir, for the same images."""
    made = [
        record
        for record in records.read(workdir).values()
        if record.get("measure") == arguments["measure"]
    ]
    if not made:
        raise UserError(
            f"--baseline={workdir} holds no record of --measure=corruptions: evaluate "
            "that run first, or name a JSON file, or alexnet"
        )
    alike = [
        record
        for record in made
        if all(record.get(field) == arguments[field] for field in MUST_BE_ALIKE)
        and {*names} <= {*record["corruptions"]}
        and {*severities} <= {*record["severities"]}
    ]
    if not alike:
        raise UserError(
            f"--baseline={workdir} was not evaluated on the same corrupted images: "
            f"its record must agree in {', '.join(MUST_BE_ALIKE)}, and have the same "
            "corruptions and severities"
        )
    record = alike[-1]
    columns = [record["severities"].index(severity) for severity in severities]
    accuracy = record["found"]["accuracy"]
    errors = {
        name: 1 - sum(accuracy[name][i] for i in columns) / len(columns)
        for name in names
    }
    name = f"{workdir.name}, {record.get('weights', '')} weights"
    return Baseline(name, errors, 1 - record["natural_accuracy"])


def _all_there(
    path: files.Path, names: Sequence[str], given: Mapping[str, Any]
) -> Sequence[str]:
    missing = [name for name in names if name not in given]
    if missing:
        raise UserError(f"{path}: errors lacks {', '.join(missing)}")
    return names


def _check_error(where: str, value: Any) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= 1:
        raise UserError(f"{where} must be errors in [0, 1], got {value!r}")


def _need_all(severities: Sequence[int], reason: str) -> None:
    if tuple(severities) != SEVERITIES:
        shown = ",".join(map(str, severities))
        raise UserError(f"{reason}: it needs all of them, got --severities={shown}")
