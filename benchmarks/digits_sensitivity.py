"""How sensitive is IKL adversarial training to alpha, beta and the temperature?

    python benchmarks/digits_sensitivity.py

Searches on digits with values drawn at random: IKL's alpha, beta and temperature of the
class means, and beside it KL's strength. All trials have the same number of epochs; a
few that differ in the seed alone show what chance does. Each search is a
`python -m train.tune`, which goes on where it was stopped. Prints Markdown and draws
docs/digits_sensitivity.png.
"""

import argparse
import json
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from scipy import stats

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from train import tune
from train.reports import sensitivity

ROOT = pathlib.Path(__file__).parent.parent
CONFIG = "configs/digits_ikl_at.py:validation"
# Without weight perturbation, which takes a second gradient, and the evaluations that
# nothing reads here.
COMMON = (
    "--config.epochs=40", "--config.awp.gamma=0", "--config.evaluation.every=0",
    "--config.checkpoint_every=40",
)  # fmt: skip
KL = ("--config.loss.name=kl", "--config.attack.loss=kl")
SEARCHES = {
    "ikl": (
        "loss.alpha=log:1..40 loss.beta=log:0.5..10 loss.weight_temperature=log:0.5..8",
        (),
    ),
    "kl": ("loss.strength=log:0.5..20", KL),
    "seeds": ("seed=1..1000", ()),
}
LABELS = {
    "loss.alpha": "IKL: alpha", "loss.beta": "IKL: beta",
    "loss.weight_temperature": "IKL: temperature of the class means",
    "loss.strength": "KL: strength",
}  # fmt: skip


def search(name: str, trials: int, workdir: pathlib.Path) -> dict:
    """What `train.tune` finds, the content of its study.json."""
    space, overrides = SEARCHES[name]
    code = tune.main(
        ["tune", CONFIG, *COMMON, *overrides, f"--space={space}", "--sampler=random",
         "--pruner=none", f"--trials={trials}", f"--workdir={workdir / name}"]
    )  # fmt: skip
    if code:
        sys.exit(code)
    return json.loads((workdir / name / "study.json").read_text())


def finished(found: dict) -> list[dict]:
    return [each for each in found["trials"] if each["state"] == "finished"]


def percent(found: dict, objective: str) -> np.ndarray:
    return np.array([100 * each[objective] for each in finished(found)])


def print_spread(searches: dict[str, dict]) -> None:
    print("| search | trials | natural | robust | best robust | its values |")
    print("|---|---|---|---|---|---|")
    for name, found in searches.items():
        cells = [name, str(len(finished(found)))]
        for objective in ("natural", "robust"):
            values = percent(found, objective)
            low, middle, high = np.quantile(values, (0.1, 0.5, 0.9))
            cells.append(f"{middle:.1f} ({low:.1f} to {high:.1f})")
        best = max(finished(found), key=lambda each: each["robust"])
        cells.append(f"{100 * best['robust']:.1f}")
        cells.append(
            ", ".join(f"{k.split('.')[-1]} {v:.3g}" for k, v in best["values"].items())
        )
        print("| " + " | ".join(cells) + " |")


def print_fields(searches: dict[str, dict]) -> None:
    """A row a field: robust accuracy in thirds of its values, rank correlations."""
    print(
        "\n| field | robust, lower third | middle | upper | rank correlation, natural "
        "| robust | importance |\n|---|---|---|---|---|---|---|"
    )
    for found in (searches["ikl"], searches["kl"]):
        trials = finished(found)
        for field in found["space"]:
            given = np.array([each["values"][field] for each in trials])
            cells = [f"{LABELS[field]} ({given.min():.2g} to {given.max():.2g})"]
            for part in np.array_split(np.argsort(given), 3):
                cells.append(f"{percent(found, 'robust')[part].mean():.1f}")
            for objective in ("natural", "robust"):
                rank, p = stats.spearmanr(given, percent(found, objective))
                cells.append(f"{rank:+.2f} (p = {p:.2g})")
            share, deviation = found["importance"]["robust"].get(field, (1.0, 0.0))
            cells.append(f"{100 * share:.0f} ± {100 * deviation:.0f} %")
            print("| " + " | ".join(cells) + " |")


def draw(searches: dict[str, dict], path: pathlib.Path) -> None:
    panels = [
        (name, field) for name in ("ikl", "kl") for field in searches[name]["space"]
    ]
    figure, axes = plt.subplots(
        1,
        len(panels),
        figsize=(3 * len(panels), 3.2),
        sharey=True,
        layout="constrained",
    )
    for axis, (name, field) in zip(axes, panels, strict=True):
        x = [each["values"][field] for each in finished(searches[name])]
        for objective, color in (("natural", "C0"), ("robust", "C1")):
            chance = percent(searches["seeds"], objective)
            axis.axhspan(chance.min(), chance.max(), color=color, alpha=0.15, lw=0)
            axis.scatter(
                x,
                percent(searches[name], objective),
                s=16,
                color=color,
                label=objective,
            )
        sensitivity.make_logarithmic(axis)
        axis.set_xlabel(LABELS[field])
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("accuracy on the validation part (%)")
    axes[0].legend(loc="lower left")
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--workdir", type=pathlib.Path, default=ROOT / "runs" / "sensitivity"
    )
    parser.add_argument("--trials", type=int, default=20, help="of IKL; KL has half")
    arguments = parser.parse_args()
    counts = {"ikl": arguments.trials, "kl": arguments.trials // 2, "seeds": 4}
    searches = {
        name: search(name, count, arguments.workdir) for name, count in counts.items()
    }
    print_spread(searches)
    print_fields(searches)
    draw(searches, ROOT / "docs" / "digits_sensitivity.png")


if __name__ == "__main__":
    main()
