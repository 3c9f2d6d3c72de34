"""The attacks of each version of AutoAttack.

Reference: Croce & Hein, "Reliable evaluation of adversarial robustness with an ensemble
of diverse parameter-free attacks", https://arxiv.org/abs/2003.01690, 2020, section 6;
in an l1 ball, https://arxiv.org/abs/2103.01208, 2021.
"""

import dataclasses
import functools
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


@dataclasses.dataclass(frozen=True, eq=False)
class ThreatModel:
    """What the attacks of a version share.

    Attributes:
      classifier: the classifier.
      epsilon: radius of the ball.
      norm: "linf", "l2" or "l1".
    """

    classifier: Classifier
    epsilon: float
    norm: str

    @functools.cached_property
    def apgd(self) -> Apgd:
        """APGD on the targeted DLR loss, and on cross-entropy without a target.

        One object for both, so that its programs are compiled once.
        """
        loss = losses.cross_entropy_or_targeted_dlr
        return Apgd(self.classifier, self.epsilon, self.norm, loss=loss)

    def targets(self, most: int) -> int:
        """How many of the other classes are targets."""
        return min(most, self.classifier.num_classes - 1)


# The passes of one attack.
Build = Callable[[ThreatModel], Iterator[Pass]]


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
    threat_model = ThreatModel(classifier, epsilon, norm)
    return [single for name in names for single in ATTACKS[name](threat_model)]


def is_randomised(version: str | Sequence[str]) -> bool:
    """Whether the version is for functions of inputs and a key."""
    return isinstance(version, str) and version in RANDOMISED


def _apgd_ce(name: str, restarts: int) -> Build:
    return lambda threat_model: _restarted(
        name, threat_model.apgd, restarts, threat_model.norm
    )


def _apgd(
    name: str, loss: losses.AimedLoss, *, restarts: int, eot_samples: int = 1
) -> Build:
    def build(threat_model: ThreatModel) -> Iterator[Pass]:
        classifier, epsilon, norm = _parts(threat_model)
        attack = Apgd(classifier, epsilon, norm, loss=loss, eot_samples=eot_samples)
        return _restarted(name, attack, restarts, norm)

    return build


def _restarted(name: str, attack: Apgd, restarts: int, norm: str) -> Iterator[Pass]:
    count = max(restarts, L1_RESTARTS) if norm == "l1" else restarts
    for restart in range(count):
        yield Pass(name, attack, restart=restart)


def _apgd_targeted(threat_model: ThreatModel) -> Iterator[Pass]:
    for rank in range(threat_model.targets(APGD_TARGETS[threat_model.norm])):
        yield Pass("apgd-t", threat_model.apgd, rank=rank)


def _fab_targeted(threat_model: ThreatModel) -> Iterator[Pass]:
    attack = Fab(*_parts(threat_model))
    for rank in range(threat_model.targets(FAB_TARGETS)):
        yield Pass("fab-t", attack, rank=rank)


def _fab(threat_model: ThreatModel) -> Iterator[Pass]:
    attack = Fab(*_parts(threat_model), boundary=boundary.towards_nearest)
    yield Pass("fab-5", attack)
    for restart in range(1, FAB_RESTARTS):
        yield Pass("fab-5", FromRandomPoint(attack), restart=restart)


def _square(threat_model: ThreatModel) -> Iterator[Pass]:
    yield Pass("square", Square(*_parts(threat_model)))


def _parts(threat_model: ThreatModel) -> tuple[Classifier, float, str]:
    return threat_model.classifier, threat_model.epsilon, threat_model.norm


_CROSS_ENTROPY = losses.untargeted(losses.cross_entropy)
_DLR = losses.untargeted(losses.dlr)

ATTACKS: dict[str, Build] = {
    "apgd-ce": _apgd_ce("apgd-ce", restarts=1),
    "apgd-dlr": _apgd("apgd-dlr", _DLR, restarts=1),
    "apgd-t": _apgd_targeted,
    "fab-t": _fab_targeted,
    "square": _square,
    "apgd-ce-5": _apgd_ce("apgd-ce-5", restarts=5),
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
