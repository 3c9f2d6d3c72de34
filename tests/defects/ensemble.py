"""Defects of AutoAttack: passes, targets, keys, and who says what is adversarial."""

from tests.defects.defect import Defect

ENSEMBLE = "ikl_jax/attacks/ensemble"
AUTOATTACK = ("tests/ikl_jax/attacks/ensemble",)
DISTANCES = ("tests/ikl_jax/attacks/ensemble/test_distances.py",)
ASSUMPTIONS = (
    "tests/ikl_jax/attacks/test_assumptions.py",
    "tests/ikl_jax/attacks/test_arguments.py",
)

DEFECTS = [
    Defect(
        "what an attack claims counts without a clean forward pass",
        ENSEMBLE,
        "broken = np.asarray(found.broken) & judge(x, found.x_adv, labels, keys)",
        "broken = np.asarray(found.broken)",
        AUTOATTACK,
    ),
    Defect(
        "inputs outside of [0, 1] count as adversarial",
        ENSEMBLE,
        "return near & inside.all(axis=1)",
        "return near",
        AUTOATTACK,
    ),
    Defect(
        "the ranks of targets are off by one",
        ENSEMBLE,
        "self.targets[rows, rank]",
        "self.targets[rows, rank - 1]",
        AUTOATTACK,
    ),
    Defect(
        "restarts of one attack repeat the same random numbers",
        ENSEMBLE,
        'name = f"{self.stage} {self.rank or 0} {self.restart}"',
        'name = f"{self.stage} {self.rank or 0}"',
        AUTOATTACK,
    ),
    Defect(
        "an example's random key does not depend on its content",
        ENSEMBLE,
        "(key, sums.astype(np.uint32))",
        "(key, np.arange(len(sums), dtype=np.uint32))",
        AUTOATTACK,
    ),
    Defect(
        "examples that a journal holds are attacked again",
        ENSEMBLE,
        "            left = np.setdiff1d(left, record.rows)\n",
        "",
        AUTOATTACK,
    ),
    Defect(
        "the least likely classes are the first targets",
        ENSEMBLE,
        "np.argsort(-logits, axis=1",
        "np.argsort(logits, axis=1",
        AUTOATTACK,
    ),
    Defect(
        "the warning of masked gradients compares with the wrong sign",
        ENSEMBLE,
        "before - after > SQUARE_HELPS",
        "after - before > SQUARE_HELPS",
        AUTOATTACK,
    ),
    Defect(
        "distances keep the farther of two inputs",
        ENSEMBLE,
        "nearer = far < distance[rows]",
        "nearer = far > distance[rows]",
        DISTANCES,
    ),
    Defect(
        "a distance that a clean forward pass does not confirm stays",
        ENSEMBLE,
        "return np.where(wrong, distance, np.float32(np.inf))",
        "return distance",
        DISTANCES,
    ),
    Defect(
        "logits that depend on the batch are compared with themselves",
        ENSEMBLE,
        "for part in (rows, assumptions.mixed(rows))",
        "for part in (rows, rows)",
        ASSUMPTIONS,
    ),
]
