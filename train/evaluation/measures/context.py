"""What measures look at: the outputs of one model, each computed once for all."""

import copy
import dataclasses
import functools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from rich.console import Console

from ikl_jax.types import Array
from train.base.errors import UserError, explained
from train.base.progress import ProgressPrinter
from train.data import sources
from train.data.splits import Split
from train.evaluation import asked_attack
from train.evaluation.batch_attack import BatchAttack, PgdAttack, attack_arguments
from train.evaluation.judgement import Options
from train.evaluation.outputs import DeviceBatch, Outputs, OutputsPass, joined
from train.evaluation.target import Target


class Context:
    """The target of an evaluation, what the user asked for, and the outputs so far.

    Attributes:
      target: the model with its weights, and the data.
      options: common ones, as they were given.
      values: of all measures' own options by name, with defaults where not given.
      console: to print progress to.
    """

    def __init__(
        self, target: Target, options: Options, values: Mapping[str, Any],
        console: Console, *, features: bool,
    ) -> None:  # fmt: skip
        """A context without outputs.

        Args:
          target: the model with its weights, and the data.
          options: common ones.
          values: of the measures' own options.
          console: to print progress to.
          features: whether all outputs have features, as a measure needs them.
        """
        self.target, self.options, self.values = target, options, values
        self.console = console
        self._pass = OutputsPass(
            target.model, target.data.test, target.mesh,
            num_classes=target.data.num_classes,
            batch_size=target.config.evaluation.batch_size, features=features,
        )  # fmt: skip

    @property
    def count(self) -> int:
        """How many examples of the evaluated part are evaluated, its first ones."""
        whole = len(self.target.data.test)
        return min(self.options.num_examples or whole, whole)

    @functools.cached_property
    def outputs(self) -> Outputs:
        """Those for the evaluated examples.

        Raises:
          UserError: the model has no features, or a logit is no finite number.
        """
        return _finite(joined(self.outputs_of(self.target.data.test, self.count)))

    def outputs_of(self, split: Split, limit: int | None = None) -> Iterator[Outputs]:
        """Those for other images of the same shape, batch by batch.

        Args:
          split: the images: another part, other data, or changed images.
          limit: of the first examples; None: of all.
        """
        with explained():  # a model without features
            yield from self._pass.over(split)(self.target.weights, limit)

    @property
    def has_validation_part(self) -> bool:
        """Whether examples were held out of training besides the evaluated ones."""
        config = self.target.config
        held_out = config.data.validation_size and config.data.evaluate_on == "test"
        # The parts of a sequence of tasks are not those of the source.
        return bool(held_out) and not config.continual.task

    @functools.cached_property
    def validation_outputs(self) -> Outputs:
        """Those for the validation part, which must be there."""
        data = copy.deepcopy(self.target.config.data)
        data.evaluate_on = "validation"
        return _finite(joined(self.outputs_of(sources.open_source(data).test)))

    @functools.cached_property
    def attack(self) -> PgdAttack:
        """PGD with the config's settings, and those that the user gave.

        Raises:
          UserError: its epsilon does not fit the images, or an option has no effect.
        """
        # Other measures than those that attack may read the seed.
        without_seed = dataclasses.replace(self.options, seed=None)
        return asked_attack.of_target(self.target, without_seed)

    @property
    def attack_arguments(self) -> dict[str, Any]:
        """Fields of a record: all that `adversarial` depends on."""
        return attack_arguments(self.attack, self._attack_seed)

    @functools.cached_property
    def adversarial(self) -> Outputs | None:
        """Those for adversarial images of the evaluated examples; None: no attack."""
        return self.adversarial_of(self.target.data.test, self.count)

    def adversarial_of(self, split: Split, limit: int | None = None) -> Outputs | None:
        """Those for adversarial images of other images of the same shape.

        Of several restarts, an example's are those of the first one that changes its
        prediction from the label, or of the last one where none does.

        Args:
          split: the images: another part, or other data.
          limit: of the first examples; None: of all.

        Returns:
          None where there is no attack.
        """
        if not self.attack.restarts:
            return None
        progress = ProgressPrinter(self.console)
        count = len(split) if limit is None else min(limit, len(split))
        parts, done, wrong = [], 0, 0
        for part in self._attacked(split, count):
            parts.append(part)
            done += len(part.labels)
            wrong += int((part.predicted != part.labels).sum())
            text = f"{self.attack.name}: {100 * wrong / done:.2f}% wrong so far"
            progress.update(done, count, text)
        return _finite(joined(parts))

    @property
    def _attack_seed(self) -> int:
        return asked_attack.seed(self.target, self.options)

    @functools.cached_property
    def _batch_attack(self) -> BatchAttack:
        """Compiled once for all images."""
        target = self.target
        return BatchAttack(
            target.model, self.attack, target.mesh, seed=self._attack_seed
        )

    def _attacked(self, split: Split, count: int) -> Iterator[Outputs]:
        attack, weights = self._batch_attack, self.target.weights
        for batch in self._pass.over(split).batches(count):
            restarts = range(self.attack.restarts)
            images = (attack(weights, batch, restart) for restart in restarts)
            yield self._strongest(batch, images)

    def _strongest(self, batch: DeviceBatch, images: Iterator[Array]) -> Outputs:
        """The outputs of the first restart that breaks each example, else the last."""
        found: Outputs | None = None
        for x in images:
            outputs = self._pass.of_batch(self.target.weights, batch, x)
            found = outputs if found is None else _kept(found, outputs)
        assert found is not None
        return found


def _kept(first: Outputs, second: Outputs) -> Outputs:
    """The first outputs where they are wrong, else the second ones."""
    wrong = first.predicted != first.labels
    features = None
    if first.features is not None and second.features is not None:
        features = np.where(wrong[:, None], first.features, second.features)
    logits = np.where(wrong[:, None], first.logits, second.logits)
    return second._replace(logits=logits, features=features)


def _finite(outputs: Outputs) -> Outputs:
    """The outputs; `UserError` if a logit is no finite number."""
    bad = int((~np.isfinite(outputs.logits).all(axis=1)).sum())
    if bad:
        raise UserError(
            f"the logits of {bad} of {len(outputs.labels)} examples are not finite "
            "numbers: nothing can be measured on them"
        )
    return outputs
