"""Passes: which there are, how examples are dealt out, records and going on from them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax.attacks.common import losses
from ikl_jax.attacks.common.attack import Found
from ikl_jax.attacks.common.classifier import Classifier
from ikl_jax.attacks.ensemble import passes, versions
from ikl_jax.attacks.ensemble.autoattack import fingerprint
from ikl_jax.attacks.ensemble.batches import Batches
from ikl_jax.attacks.ensemble.inputs import Inputs, content_keys, other_classes
from ikl_jax.attacks.ensemble.judge import Judge
from ikl_jax.attacks.ensemble.passes import Progress, Record
from tests.ikl_jax.attacks.ensemble.problems import FAST, KEY, SHAPE, data, evaluate


class Stopped(Exception):
    pass


@pytest.mark.long
@pytest.mark.parametrize("after", [1, 5])
def test_an_evaluation_goes_on_from_its_records(expected, after):
    records = []

    def stop(record, _):
        records.append(record)
        if len(records) == after:
            raise Stopped

    with pytest.raises(Stopped):
        evaluate(*data(), batch_size=8, report=stop)
    later = []
    result = evaluate(
        *data(), batch_size=8, journal=records,
        report=lambda record, _: later.append(record),
    )  # fmt: skip
    np.testing.assert_array_equal(result.robust, expected.robust)
    np.testing.assert_allclose(result.x_adv, expected.x_adv, atol=1e-5)
    done = [(r.number, row) for r in records for row in r.rows]
    again = [(r.number, row) for r in later for row in r.rows]
    assert not set(done) & set(again)
    assert [stage.name for stage in result.stages] == ["clean", *FAST]


def test_fingerprints_tell_evaluations_apart():
    logits_fn, x, labels = data()
    asked = dict(epsilon=0.1, norm="linf", version="standard", key=KEY)
    same = fingerprint(logits_fn, x, labels, **asked)
    assert fingerprint(logits_fn, x.copy(), labels, **asked) == same
    others = [
        fingerprint(data(seed=1)[0], x, labels, **asked),
        fingerprint(logits_fn, x[:-1], labels[:-1], **asked),
        fingerprint(logits_fn, 1 - x, labels, **asked),
        fingerprint(logits_fn, x, labels[::-1], **asked),
        *(
            fingerprint(logits_fn, x, labels, **asked | changed)
            for changed in (
                {"epsilon": 0.2}, {"norm": "l2"}, {"version": "apgd"},
                {"key": jax.random.key(4)},
            )
        ),
    ]  # fmt: skip
    assert len({same, *others}) == 9


def test_targets_are_as_many_as_there_are_other_classes():
    classifier = Classifier.of(data(classes=3)[0], jnp.zeros((1, *SHAPE)))
    made = versions.passes("standard", classifier, 0.1, "linf")
    ranks = [(single.stage, single.rank) for single in made]
    assert ranks == [
        ("apgd-ce", None), ("apgd-t", 0), ("apgd-t", 1), ("fab-t", 0), ("fab-t", 1),
        ("square", None),
    ]  # fmt: skip
    apgds = {single.attack for single in made if single.stage.startswith("apgd")}
    assert len(apgds) == 1  # which compiles its programs once
    many = Classifier.of(data(classes=20)[0], jnp.zeros((1, *SHAPE)))
    names = [p.stage for p in versions.passes("standard", many, 1, "l1")]
    assert [names.count(n) for n in ("apgd-ce", "apgd-t", "fab-t")] == [5, 5, 9]
    seeds = [single.seed for single in versions.passes("plus", classifier, 0.1, "linf")]
    assert len(set(seeds)) == len(seeds)


def test_the_other_classes_come_by_their_logits_the_most_likely_first():
    logits = np.array([[1.0, 4.0, 2.0, 3.0], [0.0, 0.0, -np.inf, 5.0]])
    np.testing.assert_array_equal(
        other_classes(logits, np.array([1, 0])), [[3, 2, 0], [3, 1, 2]]
    )


def test_a_pass_aims_at_the_target_of_its_rank():
    logits_fn, x, labels = data(count=6)
    aimed = []

    def attack(x, labels, targets, keys):
        aimed.extend(np.asarray(targets))
        return Found(x, jnp.zeros(len(x), bool))

    judge = Judge(Classifier.of(logits_fn, jnp.asarray(x)), 0.1, "linf")
    inputs = Inputs(
        x, labels, np.arange(24).reshape(6, 4), content_keys(jax.random.key(0), x)
    )
    ranks = (0, 3, None, 1)
    passes.run(
        [passes.Pass("aimed", attack, rank) for rank in ranks], inputs,
        Progress(x.copy(), np.ones(6, bool), [], 0, 4), judge, Batches.of(8), (),
        lambda *_: None,
    )  # fmt: skip
    # Six examples are dealt out one by one.
    none = np.full(6, losses.NO_TARGET)
    expected = [none if rank is None else inputs.targets[:, rank] for rank in ranks]
    np.testing.assert_array_equal(aimed, np.concatenate(expected))


def test_every_pass_has_random_numbers_of_its_own():
    attack = lambda x, labels, targets, keys: None
    every = [
        passes.Pass(stage, attack, rank=rank, restart=restart)
        for stage in ("apgd-t", "fab-t")
        for rank in range(2)
        for restart in range(2)
    ]
    assert len({single.seed for single in every}) == len(every)


def test_batches_come_in_two_sizes():
    batches = Batches.of(40)
    assert (batches.size, batches.small) == (40, 10)
    for count in (1, 10, 19, 20, 21, 40, 47, 61, 99):
        parts = list(batches.split(np.arange(count)))
        np.testing.assert_array_equal(np.concatenate(parts), np.arange(count))
        assert {len(batches.padded(part)) for part in parts} <= {10, 40}
        assert sum(len(batches.padded(part)) for part in parts) <= 1.5 * count + 9


def test_stages_tell_their_seconds():
    progress = passes.Progress(np.zeros((3, 2)), np.ones(3, bool), [], 0, 1)
    record = Record(0, np.array([0, 2]), np.array([False, True]), np.ones((1, 2)), 2.5)
    progress.add(record)
    assert progress.robust.tolist() == [True, True, False]
    assert progress.x_adv.tolist() == [[0, 0], [0, 0], [1, 1]]
    assert progress.seconds == 2.5
