"""Checkpoints: Orbax, asynchronous, checked when they are read.

A checkpoint is a train state and a JSON object, its `position`. Files can be damaged
in ways that nothing below notices, so a checkpoint carries a checksum of every leaf of
the state and of the position. Where one cannot be read or does not match, the next
older checkpoint is used.

The best weights are not stored apart: the checkpoint with the best score stays, beside
the newest ones, and holds the whole state. It takes more disk than the weights alone,
and in return it is written in one step with its score, has the same checksums, can be
resumed from, and no kill can part it from the run that it belongs to.

If an evaluation was interrupted, its checkpoint gets the score later: the file of the
score alone is replaced, in one step. No checkpoint is ever deleted to be written again.
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import orbax.checkpoint as ocp

from ikl_jax.types import PyTree
from train.base import files
from train.base.errors import UserError
from train.base.files import Path
from train.base.files.paths import absolute, for_orbax
from train.devices import processes
from train.experiment import checksums, scores, sizes
from train.experiment.scores import Score

Report = Callable[[str], None]

# Of a write that fails, in the system's words.
REASONS = (
    "No space left on device", "Disk quota exceeded", "Permission denied",
    "Read-only file system", "File too large",
)  # fmt: skip
METRICS = "metrics"  # Orbax's name of a checkpoint's item, and of the file in it


class Saved(NamedTuple):
    """What a checkpoint held."""

    step: int
    tree: PyTree
    position: dict[str, Any]


class OtherSizes(UserError):
    """A checkpoint is of arrays of other sizes than those that are to be read."""


class _Manager(ocp.CheckpointManager):
    def metrics(self, step: int) -> Any:
        """The metrics of a checkpoint; None if their file is damaged.

        Orbax reads those of all checkpoints when it is created, and would fail there.
        """
        try:
            return super().metrics(step)
        except Exception:  # of any kind, from its JSON reader
            return None


class Checkpoints:
    """The newest `keep` checkpoints in a folder, and the best one.

    With `read_only` nothing there is created, cleaned up or set aside: another process
    may be saving. (Orbax's own option of that name warns at every use.)
    """

    def __init__(self, folder: Path, *, keep: int, read_only: bool = False) -> None:
        self._folder, self._read_only = absolute(folder), read_only
        newest = ocp.checkpoint_managers.LatestN(None if read_only else keep)
        options = ocp.CheckpointManagerOptions(
            preservation_policy=ocp.checkpoint_managers.AnyPreservationPolicy(
                [newest, scores.PreserveBest()]
            ),
            # Without this function, which only Orbax's best_step() calls, metrics are
            # not written.
            best_fn=lambda metrics: 0.0,
            cleanup_tmp_directories=not read_only,
            create=not read_only,
        )
        try:
            self._manager = _Manager(for_orbax(self._folder), options=options)
        except OSError:  # of the file system: its own words say enough
            raise
        except Exception as error:
            raise UserError(
                f"{self._folder}: checkpoints cannot be listed: {_first_line(error)}; "
                "a damaged file _CHECKPOINT_METADATA in one of them may be deleted"
            ) from error

    def steps(self) -> list[int]:
        return sorted(self._manager.all_steps())

    def best_step(self) -> int | None:
        """The step of the checkpoint with the best score; None if none has a score."""
        found = {step: self._score(step) for step in self.steps()}
        return scores.best_step({step: score for step, score in found.items() if score})

    def _score(self, step: int) -> Score | None:
        return scores.from_metrics(self._manager.metrics(step))

    def save(
        self,
        step: int,
        tree: PyTree,
        position: dict[str, Any],
        score: Score | None = None,
    ) -> None:
        """Starts to save.

        A step that is there already keeps its state and position. It gets `score` if it
        has none of the same measure. (It was saved when its evaluation was interrupted,
        and still says so: a run that goes on from it makes the evaluation again.)

        Raises:
          UserError: this save cannot begin, or the one before it failed.
        """
        if step in self._manager.all_steps():
            self.wait()  # its score may be on the way
            if score is not None:
                self._add_score(step, score)
            return
        try:
            content = {**position, "digests": checksums.digests(tree)}
            self._manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(tree),
                    position=ocp.args.JsonSave(checksums.seal(content)),
                ),
                metrics=scores.to_metrics(score),
            )
        except Exception as error:
            raise self._failure(error) from error

    def _add_score(self, step: int, score: Score) -> None:
        before = self._score(step)
        # Every process has read the old score before the first one replaces it.
        if not processes.everywhere(before is None or before.measure != score.measure):
            return
        path = self._folder / str(step) / METRICS / METRICS

        def write() -> None:
            with files.written(path):
                path.parent.mkdir(exist_ok=True)
            files.write_whole(path, json.dumps(scores.to_metrics(score)))

        processes.on_main(write)
        self._manager.reload()

    def restore(self, template: PyTree, report: Report) -> Saved | None:
        """The newest checkpoint that is whole, placed like `template`.

        Newer ones are set aside once it is read. If none can be read, there may be
        another reason than damage, and all stay where they are.

        Returns:
          What it holds; None if there is no checkpoint.

        Raises:
          UserError: there are checkpoints, but none that can be read.
        """
        steps = self.steps()
        failure = f"none of the checkpoints {steps} in {self._folder} can"
        return self._first_whole(steps[::-1], template, report, failure)

    def restore_best(self, template: PyTree, report: Report) -> Saved | None:
        """The checkpoint with the best score, as `restore`; None if none has one."""
        step = self.best_step()
        failure = f"checkpoint {step} in {self._folder}, the best one, cannot"
        steps = [] if step is None else [step]
        return self._first_whole(steps, template, report, failure)

    def _first_whole(
        self, steps: Sequence[int], template: PyTree, report: Report, failure: str
    ) -> Saved | None:
        """The first of `steps` that is whole; if none is, the error is `failure`."""
        unreadable = []
        for step in steps:
            problem = ""
            self._check_sizes(step, template)
            try:
                saved = self._read(step, template)
            except Exception as error:  # Orbax raises even bare `Exception`s
                problem, saved = _first_line(error), None
            if processes.everywhere(saved is not None):
                self._set_aside(unreadable)
                return saved
            unreadable.append(step)
            problem = problem or "it cannot be read on another process"
            report(f"checkpoint {step} in {self._folder} is damaged: {problem}")
        if steps:
            raise UserError(
                f"{failure} be read by this config and version; nothing was changed "
                "there"
            )
        return None

    def _read(self, step: int, template: PyTree) -> Saved:
        abstract = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(
                leaf.shape, leaf.dtype, sharding=leaf.sharding
            ),
            template,
        )
        items = self._manager.restore(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardRestore(abstract),
                position=ocp.args.JsonRestore(),
            ),
        )
        position, tree = checksums.unseal(items["position"]), items["state"]
        for (path, leaf), like in zip(
            jax.tree.leaves_with_path(tree), jax.tree.leaves(abstract), strict=True
        ):
            if (leaf.shape, leaf.dtype) != (like.shape, like.dtype):
                name = jax.tree_util.keystr(path)
                raise ValueError(
                    f"{name} is {leaf.dtype}{leaf.shape}, not {like.dtype}"
                )
        found, expected = checksums.digests(tree), position.pop("digests")
        wrong = [n for n, digest in expected.items() if found.get(n) != digest]
        if wrong or len(found) != len(expected):
            raise ValueError(f"the checksum of {(wrong or ['a leaf'])[0]} differs")
        return Saved(step, tree, position)

    def _check_sizes(self, step: int, template: PyTree) -> None:
        """Raises `OtherSizes` for a checkpoint of arrays of other sizes."""
        problem = sizes.difference(self._folder / str(step), template)
        if not processes.everywhere(not problem):
            raise OtherSizes(
                f"checkpoint {step} in {self._folder} is of another size of images, "
                "another number of channels or of classes, or another model: "
                f"{problem or 'another process says how it differs'}"
            )

    def _set_aside(self, steps: list[int]) -> None:
        if self._read_only or not steps:
            return
        if processes.is_main():
            target = self._folder.parent / f"{self._folder.name}_damaged"
            target.mkdir(exist_ok=True)
            for step in steps:
                place = files.unused(target / str(step))
                files.move(self._folder / str(step), place)
        processes.barrier("set aside")
        self._manager.reload()

    def wait(self) -> None:
        """Waits until what is being saved is saved.

        Raises:
          UserError: it could not be.
        """
        try:
            self._manager.wait_until_finished()
        except Exception as error:
            raise self._failure(error) from error

    def close(self) -> None:
        """Waits as `wait` does, and raises what it does."""
        try:
            self._manager.close()
        except Exception as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> UserError:
        kept = self.steps()
        earlier = f"checkpoint {kept[-1]} is intact" if kept else "none is there yet"
        return UserError(
            f"cannot save to {self._folder}: {_first_line(error)}; {earlier}"
        )


def _first_line(error: Exception) -> str:
    if reason := re.search("|".join(REASONS), str(error)):
        return reason[0]  # tensorstore says much before it
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200] if lines else ''}"
