"""The predictions of weights, and the accuracies, with and without PGD."""

from collections.abc import Callable, Iterator

import jax
import numpy as np
from jax.sharding import Mesh

from train.data.splits import Split
from train.devices import sharding
from train.evaluation.batch_attack import BatchAttack, PgdAttack
from train.evaluation.outputs import DeviceBatch, OutputsPass
from train.evaluation.predictions import AttackedImages, Predictions, joined
from train.recipes import recipe
from train.recipes.state import Weights


def robust_accuracy(predictions: Predictions, attack: PgdAttack) -> dict[str, float]:
    """The robust accuracy by the attack's name; empty where there is none."""
    robust = predictions.robust_accuracy
    return {} if robust is None else {attack.name: robust}


class Evaluator:
    """Predictions for the examples and under PGD, compiled once for any weights."""

    def __init__(
        self, model: recipe.Model, split: Split, attack: PgdAttack, mesh: Mesh, *,
        num_classes: int, batch_size: int, seed: int = 0,
        between: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        """An evaluator of weights of `model` on `split`.

        Args:
          model: takes images in [0, 1].
          split: the examples.
          attack: that they are attacked by.
          mesh: of the devices.
          num_classes: of the split; further logits of the model are padding.
          batch_size: a multiple of the devices along the mesh's axis `data`.
          seed: of the attack's random starts.
          between: is called before every attack on a batch; it may raise to interrupt.
        """
        self._settings, self._between = attack, between
        self._attack = BatchAttack(model, attack, mesh, seed=seed)
        self._outputs = OutputsPass(
            model, split, mesh, num_classes=num_classes, batch_size=batch_size
        )
        self._first = jax.jit(
            lambda arrays, count: jax.tree.map(lambda array: array[:count], arrays),
            static_argnums=1,
            out_shardings=sharding.replicated(mesh),  # so every process can read them
        )

    def __call__(
        self, weights: Weights, limit: int | None = None, *, keep_logits: bool = False
    ) -> Predictions:
        """The predictions for the first `limit` examples of the split (None: all)."""
        return joined(
            self._batch(weights, batch, keep_logits)
            for batch in self._outputs.batches(limit)
        )

    def parts(self, weights: Weights, examples: np.ndarray) -> Iterator[Predictions]:
        """Batch by batch the predictions, with logits, at positions of the split."""
        for batch in self._outputs.batches_of(examples):
            yield self._batch(weights, batch, keep_logits=True)

    def is_finite(self, weights: Weights) -> bool:
        """Whether the logits of the first batch are finite numbers."""
        outputs = next(self._outputs(weights))
        return bool(np.isfinite(outputs.logits).all())

    def examples(self, weights: Weights, count: int = 8) -> AttackedImages:
        """The first `count` images of the split, attacked by the first restart."""
        batch = next(self._outputs.batches())
        count = min(count, int(batch.valid.sum()))
        x, labels = self._first((batch.x, batch.labels), count)
        images = AttackedImages(
            np.asarray(x), np.asarray(labels),
            self._outputs.of_batch(weights, batch).predicted[:count],
        )  # fmt: skip
        if not self._settings.restarts:
            return images
        x_adv = self._attack(weights, batch, 0)
        outputs = self._outputs.of_batch(weights, batch, x_adv)
        return images._replace(
            x_adv=np.asarray(self._first(x_adv, count)),
            adversarial=outputs.predicted[:count],
        )

    def _batch(
        self, weights: Weights, batch: DeviceBatch, keep_logits: bool
    ) -> Predictions:
        outputs = self._outputs.of_batch(weights, batch)
        resisted = []
        for restart in range(self._settings.restarts):
            self._between()
            x_adv = self._attack(weights, batch, restart)
            attacked = self._outputs.of_batch(weights, batch, x_adv)
            resisted.append(attacked.predicted == outputs.labels)
        return Predictions(
            outputs.indices, outputs.labels, outputs.predicted,
            np.stack(resisted) if resisted else None,
            outputs.logits if keep_logits else None,
        )  # fmt: skip
