"""Words for what a run is and what was measured on it."""

from collections.abc import Iterable, Mapping
from typing import Any

from train.reports.page import numbers
from train.reports.page.reading import Folder

NORMS = {"linf": "l∞", "l2": "l2", "l1": "l1"}
METRICS = {
    "eval_natural_accuracy": "Natural accuracy, held-out images",
    "eval_robust_accuracy": "Robust accuracy, held-out images",
    "natural_accuracy": "Natural accuracy, training batches",
    "robust_accuracy": "Robust accuracy, training batches",
    "loss": "Loss",
    "cross_entropy": "Cross-entropy",
    "divergence": "Divergence",
    "distillation": "Distillation",
    "class_mean_drift": "Class-mean drift",
    "epsilon": "Epsilon of the attack",
}
LOSSES = {
    "kl": "KL", "dkl": "DKL", "ikl": "IKL", "gkl": "GKL", "kd": "KD", "dkd": "DKD",
    "class_wise_dkl": "class-wise DKL",
}  # fmt: skip


def metric(name: str) -> str:
    """A metric of the log in words.

    >>> metric("divergence"), metric("pseudo_label_accuracy")
    ('Divergence', 'Pseudo label accuracy')
    """
    return METRICS.get(name, name.replace("_", " ").capitalize())


def attack(name: str) -> str:
    """An attack's name in words.

    >>> attack("pgd20"), attack("autoattack_standard")
    ('PGD-20', 'AutoAttack (standard)')
    """
    if name.startswith("pgd") and name[3:].isdigit():
        return f"PGD-{name[3:]}"
    if name.startswith("autoattack"):
        version = name.removeprefix("autoattack").lstrip("_")
        return f"AutoAttack ({version})" if version else "AutoAttack"
    return name


def ball(record: Mapping[str, Any]) -> str:
    """The ball of an attack: `l∞ ε = 0.12`."""
    norm = record.get("norm", "")
    epsilon = numbers.short(record.get("epsilon", "?"))
    return f"{NORMS.get(norm, norm)} ε = {epsilon}".strip()


def training(folder: Folder) -> str:
    """How a run was trained: `adversarial training with IKL`."""
    config = folder.config
    recipe = str(config.get("recipe", ""))
    loss = LOSSES.get(str(config.get("loss.name")), str(config.get("loss.name", "")))
    kinds = {
        "supervised": "natural training",
        "adversarial": f"adversarial training with {loss}",
        "distillation": f"distillation with {loss}",
        "fixmatch": f"FixMatch with {loss}",
        "mean_teacher": f"Mean Teacher with {loss}",
    }
    return kinds.get(recipe, f"the recipe {recipe}" if recipe else "unknown training")


def class_names(folders: Iterable[Folder]) -> dict[int, str]:
    """The names of classes that records mention, by label."""
    found: dict[int, str] = {}
    for folder in folders:
        for source in folder.sources():
            for entry in _entries(source):
                for field in ("class", "predicted", "falls_to"):
                    label, name = entry.get(field), entry.get(f"{field}_name")
                    if isinstance(label, int) and isinstance(name, str):
                        found.setdefault(label, name)
    return found


def class_name(label: int, names: Mapping[int, str]) -> str:
    """
    >>> class_name(3, {3: "cat"}), class_name(4, {3: "cat"})
    ('cat', 'class 4')
    """
    return names.get(label, f"class {label}")


def _of_measure(source: Mapping[str, Any]) -> Any:
    found = source.get("found")
    return found.get("by_class") if isinstance(found, dict) else None


def _entries(source: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    lists = [source.get(field) for field in ("worst_classes", "most_confused")]
    for entries in [*lists, _of_measure(source)]:
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict):
                yield entry
