"""Defects of evaluation, its records, and what reports make of them."""

from tests.defects.defect import Defect

EVALUATION = "train/evaluation"
PGD = ("tests/train/evaluation/test_pgd.py", "tests/train/evaluation/test_outputs.py")
JOURNAL = ("tests/train/evaluation/test_journal.py",)
SHOTS = ("tests/train/evaluation/measures/test_shots.py",)

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
        EVALUATION,
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
        "a new record takes the place of all others",
        EVALUATION,
        "records = {**read(workdir), judgement.key: judgement.record}",
        "records = {judgement.key: judgement.record}",
        ("tests/train/evaluation/test_records.py",),
    ),
]
