"""Defects of evaluation, its records, and what reports make of them."""

from tests.defects.defect import Defect

EVALUATION = "train/evaluation"
PGD = ("tests/train/evaluation/test_pgd.py", "tests/train/evaluation/test_outputs.py")
JOURNALS = ("tests/train/evaluation/test_journals.py",)
SHARES = ("tests/train/evaluation/test_shares.py",)
JOURNAL = ("tests/train/evaluation/test_journal.py",)
RECORDS = ("tests/train/evaluation/test_records.py",)
REMAINING = ("tests/train/evaluation/test_remaining.py",)
SHOTS = ("tests/train/evaluation/summaries/test_shots.py",)

DEFECTS = [
    Defect(
        "robust examples need not be right as they are",
        EVALUATION,
        "return self.correct & self.resisted.all(axis=0)",
        "return self.resisted.all(axis=0)",
        PGD,
    ),
    Defect(
        "the last of several restarts decides",
        EVALUATION,
        "return self.correct & self.resisted.all(axis=0)",
        "return self.correct & self.resisted[-1]",
        PGD,
    ),
    Defect(
        "all restarts begin at the same points",
        EVALUATION,
        "key = jax.random.fold_in(self._key, restart)",
        "key = jax.random.fold_in(self._key, 0 * restart)",
        PGD,
    ),
    Defect(
        "logits of padded classes can be predicted",
        EVALUATION,
        "_wide(logits[:, : self._num_classes])",
        "_wide(logits)",
        PGD,
    ),
    Defect(
        "a long attack begins anew in each of its parts",
        EVALUATION,
        "loss, x, steps=steps, x_init=x_adv, norm=settings.norm,",
        "loss, x, steps=steps, x_init=x, norm=settings.norm,",
        PGD,
    ),
    Defect(
        "the rows that pad the last batch are predictions",
        EVALUATION,
        "np.asarray(a)[batch.valid]",
        "np.asarray(a)",
        PGD,
    ),
    Defect(
        "a cut record at the end of a journal is read",
        "train/base/files",
        "if len(part) < size or zlib.crc32(part) != crc:",
        "if len(part) < size:",
        JOURNAL,
    ),
    Defect(
        "the journal of another evaluation is gone on with",
        EVALUATION,
        " != fingerprint:",
        " == '':",
        JOURNAL,
    ),
    Defect(
        "classes with many examples are told as those with few",
        EVALUATION,
        "np.where(counts > most, 0, np.where(counts < fewest, 2, 1))",
        "np.where(counts > most, 2, np.where(counts < fewest, 0, 1))",
        SHOTS,
    ),
    Defect(
        "the first process reads its own journal alone",
        EVALUATION,
        "self.parts = self.parts + other.parts",
        "pass",
        JOURNALS,
    ),
    Defect(
        "a journal in use by another process's evaluation stays unnoticed",
        EVALUATION,
        "if path != first:",
        "if path == self._path(12):",
        JOURNALS,
    ),
    Defect(
        "examples at the beginning are dealt to every process",
        EVALUATION,
        "np.sort(left[process::processes])",
        "np.sort(left[: -(-len(left) // processes)])",
        SHARES,
    ),
    Defect(
        "one process gets all examples that lack most passes",
        EVALUATION,
        'left[np.argsort(passes[left], kind="stable")]',
        "left",
        SHARES,
    ),
    Defect(
        "an example that was broken is attacked again",
        EVALUATION,
        "np.where(broken, np.int32(-1), passes)",
        "passes",
        SHARES,
    ),
    Defect(
        "predictions stay in the order of the processes",
        EVALUATION,
        "np.unique(predictions.indices, return_index=True)",
        "None, np.arange(len(predictions.indices))",
        PGD,
    ),
    Defect(
        "the random start of an example depends on its place in a share",
        EVALUATION,
        "x_adv = self._start(batch.x, batch.indices, restart)",
        "x_adv = self._start(batch.x, jnp.arange(len(batch.x)), restart)",
        PGD,
    ),
    Defect(
        "a new record takes the place of all others",
        EVALUATION,
        "        records = read(workdir)\n",
        "        records: dict[str, Record] = {}\n",
        RECORDS,
    ),
    Defect(
        "the same without a picture takes the distances away",
        EVALUATION,
        "{**earlier, **judgement.record}",
        "judgement.record",
        RECORDS,
    ),
    Defect(
        "records are added without a lock",
        "train/base/files",
        "fcntl.flock(file, fcntl.LOCK_EX)",
        "pass",
        RECORDS,
    ),
    Defect(
        "an attack on 64 examples has the name of one on all",
        EVALUATION,
        "content = json.dumps(self.arguments, sort_keys=True)",
        "content = self.name",
        RECORDS,
    ),
    Defect(
        "features are those of the first layer as wide as the logits",
        EVALUATION,
        "in reversed(found):",
        "in [(width, found[0][1])]:",
        ("tests/train/evaluation/test_outputs.py",),
    ),
    Defect(
        "the remaining time counts examples that this pass has attacked already",
        EVALUATION,
        "waiting[self._attacked] = False",
        "pass",
        REMAINING,
    ),
    Defect(
        "the remaining time counts compiling as if each batch did",
        EVALUATION,
        "max(record.seconds - compiling, 0.0)",
        "record.seconds",
        REMAINING,
    ),
    Defect(
        "confusions are counted by prediction, then label",
        EVALUATION,
        "labels.astype(np.int64) * num_classes + predicted",
        "predicted.astype(np.int64) * num_classes + labels",
        ("tests/train/evaluation/summaries/test_by_class.py",),
    ),
    Defect(
        "a record stands beside weights of another step",
        "train/reports",
        '"weights", "step", "weights_checksum"',
        '"weights"',
        ("tests/train/reports/test_tables.py",),
    ),
]
