"""The goals for a GPU, ratios within one run. They are shown, and are not tests."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

Rows = list[dict[str, Any]]
Found = tuple[str, float]  # where, and the number


class Goal(NamedTuple):
    """One goal: its text, the table it is about, its numbers, and when they meet it."""

    text: str
    table: str
    find: Callable[[Rows], Iterator[Found]]
    holds: Callable[[float], bool]


LOSS, STEP, ATTACK, SAME = 1.3, 1.3, 3.0, 0.99
OURS = ("jax", "ikl_jax")


def judge(tables: dict[str, Rows], rehearsed: bool) -> Rows:
    """A row for each number that a goal is about.

    In a rehearsal the sizes are not the goal's, so that `met` is None.
    """
    rows = []
    for goal in GOALS:
        try:
            found = list(goal.find(tables.get(goal.table, [])))
        except (KeyError, TypeError, ZeroDivisionError) as error:
            # Rows that lack a number must not end a run whose stages are not over.
            nothing = {"of": f"not judged: {error!r}", "measured": None, "met": None}
            rows.append({"goal": goal.text, **nothing})
            continue
        for where, value in found:
            met = None if rehearsed else goal.holds(value)
            rows.append({"goal": goal.text, "of": where, "measured": value, "met": met})
        if not found:
            nothing = {"of": "not measured", "measured": None, "met": None}
            rows.append({"goal": goal.text, **nothing})
    return rows


def loss_ratios(rows: Rows) -> Iterator[Found]:
    """IKL's time over that of streaming, with given and with the example's weights."""
    for row in rows:
        if row.get("goal"):
            where = f"{row['batch']} × {row['classes']}, {row['precision']}"
            yield f"{where}, given weights", row["ikl/stream"]
            yield f"{where}, own weights", row["ikl_own_weights/stream"]


def step_ratios(rows: Rows) -> Iterator[Found]:
    """Our images a second over torch's, each in its best precision and form."""
    measured = [row for row in rows if row.get("images/s")]
    for model in dict.fromkeys(row["model"] for row in measured):
        of_model = [row for row in measured if row["model"] == model]
        ours = [row["images/s"] for row in of_model if row["by"] in OURS]
        theirs = [row["images/s"] for row in of_model if row["by"] not in OURS]
        if ours and theirs:
            yield model, max(ours) / max(theirs)


def attack_ratios(rows: Rows) -> Iterator[Found]:
    """The reference's seconds over ours in bfloat16, with and without compiling."""
    for network, theirs, ours in _pairs(rows):
        yield f"{network}, with compiling", theirs["seconds"] / ours["seconds"]
        running = ours["seconds"] - ours["compile_s"]
        if running > 0:
            yield f"{network}, without", theirs["seconds"] / running


def same_verdicts(rows: Rows) -> Iterator[Found]:
    for row in rows:
        if row["precision"].startswith("bfloat16"):
            yield row["network"], row["same"]


def _pairs(rows: Rows) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Each network, with the reference's row and ours in bfloat16."""
    measured = [row for row in rows if row.get("seconds")]
    for network in dict.fromkeys(row["network"] for row in measured):
        of_network = [row for row in measured if row["network"] == network]
        theirs = [row for row in of_network if row["by"] == "pyautoattack"]
        ours = [
            row
            for row in of_network
            if row["by"] in OURS and row["precision"].startswith("bfloat16")
        ]
        if theirs and ours:
            yield network, theirs[0], ours[0]


GOALS = (
    Goal(
        f"IKL takes at most {LOSS} times what streaming takes",
        "losses", loss_ratios, lambda ratio: ratio <= LOSS,
    ),
    Goal(
        f"the step reaches at least {STEP} times torch's images per second",
        "steps", step_ratios, lambda ratio: ratio >= STEP,
    ),
    Goal(
        f"AutoAttack in bfloat16 is at least {ATTACK:g} times as fast as the reference",
        "autoattack", attack_ratios, lambda ratio: ratio >= ATTACK,
    ),
    Goal(
        f"AutoAttack in bfloat16 has the same verdict on at least {SAME:.0%} of images",
        "verdicts", same_verdicts, lambda share: share >= SAME,
    ),
)  # fmt: skip
