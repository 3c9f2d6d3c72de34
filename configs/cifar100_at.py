"""The published adversarial training of CIFAR-100, l-infinity at epsilon 8/255.

    python -m train --config=configs/cifar100_at.py:basic --workdir=runs/cifar100 \
        --config.data.source=cifar100:/data/cifar-100-python
    python -m train.evaluate --workdir=runs/cifar100 --attack=autoattack

`--plan` in place of the workdir tells what it will cost. Rows (docs/recipes.md has them
all, with natural and AutoAttack accuracy as published): `basic` 65.76 / 31.91 (the
authors' README and RobustBench; its numbers are those of their script, no log was
published), `beta3` 66.51 / 31.43 and `temperature2` 64.08 / 31.65 (their logs),
`auto_augment` 65.93 / 32.52, `gkl...`, `trades`, `awp_trades` 60.38 / 28.86,
`synthetic_50m` 73.85 / 39.18 and others. `intended` runs the attack's schedule as it
was meant, `quick` checks all on little data.

Kept of the authors' settings, by field: the attack's schedule as it runs
(`attack.steps`; theirs of 2 to 5 steps never does), epsilon's ramp over all epochs
(`attack.epsilon_ramp`), the learning rate of epoch e of E + 1
(`optimizer.schedule`), decay of everything (`optimizer.decay_vectors`) and at perturbed
weights (`awp.decay_perturbed`), all views alike in AWP's loss
(`awp.second_view_weight`), BatchNorm over four parts (`model.bn_groups`), the last,
incomplete batch (`data.drop_remainder`), the average over epochs (`averaging`).
Mended: a class that was not seen keeps its mean; the average is kept along the way and
not made of 200 checkpoints; what a resumed run goes on with is complete.
Chosen by us, since it is not published: what the last field of a row says.
Unlike the recipe that `synthetic_...` follow: BatchNorm's running statistics begin as 0
and 1 (theirs as the first batch's), the classifier's bias is not decayed, CIFAR-100's
images are not rotated, none are held out to choose weights by, and no synthetic one
comes twice before all have.
"""

from configs import adversarial as at
from configs.adversarial import Row
from configs.base import Config

NORMALIZE = ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762))
README = "authors' README, RobustBench"
SAME = "authors' README (the weights of `basic`)"

BASIC = at.decoupled(alpha=20, beta=4, temperature=4)
GKL = at.decoupled(alpha=20, beta=4, temperature=4, gamma=1.0)
LARGE = at.decoupled(alpha=12, beta=5, temperature=4)
LARGE_GKL = at.decoupled(alpha=12, beta=5, temperature=4, gamma=1.0)

ROWS = {
    "basic": Row("IKL, α 20, β 4, T 4", BASIC, 65.76, 31.91, README),
    "beta3": Row(
        "IKL, β 3", at.decoupled(20, 3, 4), 66.51, 31.43, "authors' log a3_b20_T4"
    ),
    "temperature2": Row(
        "IKL, T 2", at.decoupled(20, 4, 2), 64.08, 31.65, "authors' log a4_b20_T2"
    ),
    "beta5": Row("IKL, β 5", at.decoupled(20, 5, 4), None, None, "authors' script"),
    "auto_augment": Row(
        "IKL, second view × 0.3", at.second_view(0.3, BASIC), 65.93, 32.52, README,
        at.VIEWS,
    ),
    "gkl": Row("GKL, γ 1, T 4", GKL, 65.76, 31.91, SAME),
    "gkl_gamma04": Row(
        "GKL, γ 0.4, T 1", at.decoupled(20, 4, 1, 0.4), None, None, "authors' script"
    ),
    "gkl_auto_augment": Row(
        "GKL, second view × 0.5", at.second_view(0.5, GKL), 65.93, 32.52,
        "authors' README (the weights of `auto_augment`)", at.VIEWS,
    ),
    "trades": Row(
        "TRADES, β 9, AWP", at.authors_trades(9.0), None, None, "authors' script"
    ),
    "awp_trades": Row(
        "TRADES-AWP", at.awp_trades, 60.38, 28.86, "quoted by the authors"
    ),
    "synthetic_1m": Row(
        "IKL, WRN-28-10, 1M images", at.synthetic("cifar100_1m", LARGE, NORMALIZE),
        68.99, 35.89, "authors' README", f"α, β, T, {at.SYNTHETIC}",
    ),
    "synthetic_50m": Row(
        "IKL, WRN-28-10, 50M images", at.synthetic("cifar100_50m", LARGE, NORMALIZE),
        73.85, 39.18, "authors' log", at.LARGER,
    ),
    "synthetic_50m_gkl": Row(
        "GKL, WRN-28-10, 50M images",
        at.synthetic("cifar100_50m", LARGE_GKL, NORMALIZE), 73.65, 39.37,
        "authors' README", f"α, β, γ, T, {at.LARGER}",
    ),
}  # fmt: skip


def get_config(argument: str = "") -> Config:
    return at.cifar("cifar100", ROWS, argument, attack_alpha=1.0)
