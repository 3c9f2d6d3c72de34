"""What `--plan` does: one plan, or the search for a change that fits (`--fit`)."""

from rich.console import Console

from train.base import files, terminal
from train.base.config import Config
from train.base.errors import UserError
from train.devices import processes
from train.experiment import tasks
from train.planning import choices, search, table
from train.planning.apart import plan
from train.planning.plan import Plan, Target, require
from train.planning.search import Change


def main(config: Config, target: Target, *, platform: str | None, fit: bool) -> None:
    """Prints the plan of a config, and with `fit` what makes it fit.

    Raises:
      UserError: the run is not possible there, or nothing makes it fit.
    """
    if platform is not None and target.topology is not None:
        raise UserError(
            "platform is for devices that are there: leave it out for topology="
            f"{target.topology}, got {platform!r}"
        )
    target.check()
    if target.topology is not None:
        platform = "cpu"  # nothing is run, least of all on a TPU that may be there
    if platform is not None:
        require(platform)
    console = terminal.console(quiet=not processes.is_main())
    if tasks.is_sequence(config):
        config = tasks.of_task(config, 1, files.named("plan", "workdir"))
        console.print(
            "the plan of task 1 alone, a run without a teacher; the others follow it, "
            "one at a time", highlight=False,
        )  # fmt: skip
    planned = plan(config, target)
    table.show(planned, console)
    if fit and planned.available is None:
        raise UserError(
            f"--fit needs the memory of a {planned.device}, which is not known: give "
            "--memory=GiB"
        )
    if fit and not planned.fits:
        _fit(config, target, planned, console)


def _fit(config: Config, target: Target, planned: Plan, console: Console) -> None:
    tried = [("no change", planned)]

    def attempt(change: Change) -> Plan | None:
        try:
            changed = choices.changed(config, change.fields)
            there = target._replace(topology=change.topology or target.topology)
            tried.append((change.flags, plan(changed, there)))
        except UserError as error:
            console.print(f"{change.flags}: not possible, {error}")
            return None
        console.print(_line(*tried[-1]))
        return tried[-1][1]

    found = search.smallest(attempt, choices.of(config, target.topology), planned)
    if found is None:
        raise UserError(_nothing(tried))
    console.print(f"\nit fits with {found.change.flags}")
    table.show(found.plan, console)


def _line(name: str, planned: Plan) -> str:
    """One attempt: what it took and whether it fits."""
    verdict = "fits" if planned.fits else "does not fit"
    seconds = planned.step.seconds
    return f"{name}: {table.needs(planned)}; {verdict} ({seconds:,.0f} s)"


def _nothing(tried: list[tuple[str, Plan]]) -> str:
    known = [(each.peak, name, each) for name, each in tried if each.peak is not None]
    least = ""
    if known:
        _, name, planned = min(known, key=lambda each: each[0])
        least = f"; the least was {table.needs(planned)}, with {name}"
    return (
        f"nothing fits of {len(tried)} that were tried{least}; a smaller batch_size or "
        "model is left, or the mesh's axis model if there are many classes"
    )
