"""The attacks of each version of AutoAttack.

Reference: Croce & Hein, "Reliable evaluation of adversarial robustness with an ensemble
of diverse parameter-free attacks", https://arxiv.org/abs/2003.01690, 2020, section 6;
in an l1 ball, https://arxiv.org/abs/2103.01208, 2021.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from ikl_jax import checks
from ikl_jax.attacks.apgd import Apgd
from ikl_jax.attacks.common import losses
from ikl_jax.attacks.common.classifier import Classifier
from ikl_jax.attacks.ensemble.passes import Pass
from ikl_jax.attacks.fab import boundary
from ikl_jax.attacks.fab.search import Fab, FromRandomPoint
from ikl_jax.attacks.square import Square

EOT_SAMPLES = 20
APGD_TARGETS = {"linf": 9, "l2": 9, "l1": 5}  # of targeted APGD
FAB_TARGETS = 9  # of targeted FAB
FAB_RESTARTS = 5  # of untargeted FAB
L1_RESTARTS = 5  # of untargeted APGD in l1 balls, at least


# A classifier, epsilon and the norm's name to the passes of one attack.
Build = Callable[[Classifier, float, str], Iterator[Pass]]


def passes(
    version: str | Sequence[str], classifier: Classifier, epsilon: float, norm: str
) -> list[Pass]:
    """The passes of a version, or of a list of attacks in that order.

    Raises:
      ValueError: there is no such version, or no such attack, or the list is empty.
    """
    if isinstance(version, str):
        checks.one_of("version", version, VERSIONS)
        names = VERSIONS[version]
    else:
        if not isinstance(version, Iterable):
            raise ValueError(
                f"version must be a name or a list of attacks, got {version!r}"
            )
        names = tuple(version)
        if not names:
            raise ValueError("version must name an attack, got an empty list")
        for name in names:
            checks.one_of("attack", name, ATTACKS)
    return [
        single for name in names for single in ATTACKS[name](classifier, epsilon, norm)
    ]


def is_randomised(version: str | Sequence[str]) -> bool:
    """Whether the version is for functions of inputs and a key."""
    return isinstance(version, str) and version in RANDOMISED


def _apgd(
    name: str, loss: losses.AimedLoss, *, restarts: int, eot_samples: int = 1
) -> Build:
    def build(classifier: Classifier, epsilon: float, norm: str) -> Iterator[Pass]:
        attack = Apgd(classifier, epsilon, norm, loss=loss, eot_samples=eot_samples)
        count = max(restarts, L1_RESTARTS) if norm == "l1" else restarts
        for restart in range(count):
            yield Pass(name, attack, restart=restart)

    return build


def _apgd_targeted(classifier: Classifier, epsilon: float, norm: str) -> Iterator[Pass]:
    attack = Apgd(classifier, epsilon, norm, loss=losses.targeted_dlr)
    for rank in range(_targets(classifier, APGD_TARGETS[norm])):
        yield Pass("apgd-t", attack, rank=rank)


def _fab_targeted(classifier: Classifier, epsilon: float, norm: str) -> Iterator[Pass]:
    attack = Fab(classifier, epsilon, norm)
    for rank in range(_targets(classifier, FAB_TARGETS)):
        yield Pass("fab-t", attack, rank=rank)


def _fab(classifier: Classifier, epsilon: float, norm: str) -> Iterator[Pass]:
    attack = Fab(classifier, epsilon, norm, boundary=boundary.towards_nearest)
    yield Pass("fab-5", attack)
    for restart in range(1, FAB_RESTARTS):
        yield Pass("fab-5", FromRandomPoint(attack), restart=restart)


def _square(classifier: Classifier, epsilon: float, norm: str) -> Iterator[Pass]:
    yield Pass("square", Square(classifier, epsilon, norm))


def _targets(classifier: Classifier, most: int) -> int:
    return min(most, classifier.num_classes - 1)


_CROSS_ENTROPY = losses.untargeted(losses.cross_entropy)
_DLR = losses.untargeted(losses.dlr)

ATTACKS: dict[str, Build] = {
    "apgd-ce": _apgd("apgd-ce", _CROSS_ENTROPY, restarts=1),
    "apgd-dlr": _apgd("apgd-dlr", _DLR, restarts=1),
    "apgd-t": _apgd_targeted,
    "fab-t": _fab_targeted,
    "square": _square,
    "apgd-ce-5": _apgd("apgd-ce-5", _CROSS_ENTROPY, restarts=5),
    "apgd-dlr-5": _apgd("apgd-dlr-5", _DLR, restarts=5),
    "fab-5": _fab,
    "apgd-ce-eot": _apgd(
        "apgd-ce-eot", _CROSS_ENTROPY, restarts=1, eot_samples=EOT_SAMPLES
    ),
    "apgd-dlr-eot": _apgd("apgd-dlr-eot", _DLR, restarts=1, eot_samples=EOT_SAMPLES),
}
VERSIONS: dict[str, tuple[str, ...]] = {
    "standard": ("apgd-ce", "apgd-t", "fab-t", "square"),
    "plus": ("apgd-ce-5", "apgd-dlr-5", "fab-5", "square", "apgd-t", "fab-t"),
    "rand": ("apgd-ce-eot", "apgd-dlr-eot"),
    "apgd": ("apgd-ce", "apgd-t"),
}
# The versions whose logits functions take a key too.
RANDOMISED = ("rand",)
# The attacks that use no gradients, and those that increase a DLR loss.
WITHOUT_GRADIENT = {"square"}
WITH_DLR = {name for name in ATTACKS if name.startswith(("apgd-dlr", "apgd-t"))}
# Notes on the results of versions that leave attacks out.
NOTES = {
    "apgd": "an upper bound of the robust accuracy: FAB-T and Square were not run",
}
