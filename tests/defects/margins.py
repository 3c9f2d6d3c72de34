"""Defects of margins and features, and of what is said about the generalisation gap."""

from tests.defects.defect import Defect

MEASURES = "train/evaluation/measures"
TESTS = "tests/train/evaluation/measures"
MARGIN = (f"{TESTS}/margins/test_margin.py",)
PARTS = (f"{TESTS}/margins/test_parts.py",)
SUMMARY = (f"{TESTS}/margins/test_summary.py",)
BOUNDARY = (f"{TESTS}/margins/test_boundary.py",)
MEASURE = (f"{TESTS}/margins/test_measure.py",)
SPREAD = (f"{TESTS}/features/test_spread.py",)
NUMBERS = (f"{TESTS}/features/test_numbers.py",)
TSNE = (f"{TESTS}/features/test_tsne.py",)
CORRELATION = ("tests/train/reports/test_correlation.py",)
RELATIONS = ("tests/train/reports/test_generalisation.py",)

DEFECTS = [
    Defect(
        "a margin is towards the mean of the other logits",
        MEASURES,
        "return logits[rows, labels] - others.max(axis=1)",
        "return logits[rows, labels] - np.ma.masked_invalid(others).mean(axis=1)",
        MARGIN,
    ),
    Defect(
        "relative margins are in deviations over all examples",
        MEASURES,
        "deviation = logits.std(axis=1)",
        "deviation = logits.std()",
        MARGIN,
    ),
    Defect(
        "classes that were not seen count in the deviation",
        MEASURES,
        "(logits > PADDING_LOGIT).any(axis=0)",
        "(logits >= PADDING_LOGIT).any(axis=0)",
        PARTS,
    ),
    Defect(
        "an example that only the attack gets right is robust",
        MEASURES,
        "robust = right & (self.adversarial.argmax(axis=1) == self.labels)",
        "robust = self.adversarial.argmax(axis=1) == self.labels",
        PARTS,
    ),
    Defect(
        "the gap is the accuracy on the test part minus that on the training part",
        MEASURES,
        'accuracies["training"][name] - value',
        'value - accuracies["training"][name]',
        PARTS,
    ),
    Defect(
        "unknown distances are part of the mean",
        MEASURES,
        "known = values[np.isfinite(values)].astype(np.float64)",
        "known = values.astype(np.float64)",
        SUMMARY,
    ),
    Defect(
        "the margins of the training part are those of the test part",
        MEASURES,
        "train_natural = joined(context.outputs_of(training))",
        "train_natural = context.outputs",
        MEASURE,
    ),
    Defect(
        "the training examples are the first ones",
        MEASURES,
        "return np.arange(count) * size // max(count, 1)",
        "return np.arange(count)",
        MEASURE,
    ),
    Defect(
        "the record of margins does not depend on the training part",
        MEASURES,
        '"training_fingerprint": fingerprint.of_split(training),',
        '"training_fingerprint": "",',
        MEASURE,
    ),
    Defect(
        "distances are taken from an AutoAttack of other weights",
        MEASURES,
        "if any(record.get(field) != value for field, value in arguments.items()):",
        'if record.get("attack") != "autoattack":',
        BOUNDARY,
    ),
    Defect(
        "the distance between classes counts each class's distance to itself",
        MEASURES,
        "return float(distances(points, points).sum() / (count * (count - 1)))",
        "return float(distances(points, points).mean())",
        SPREAD,
    ),
    Defect(
        "features after an attack are compared with their own class means",
        MEASURES,
        "adversarial, labels, num_classes, means\n",
        "adversarial, labels, num_classes, None\n",
        NUMBERS,
    ),
    Defect(
        "natural and adversarial features have a map each",
        MEASURES,
        "return placed[: len(natural)], placed[len(natural) :]",
        "return placed[: len(natural)], fitted.fit_transform(adversarial)",
        TSNE,
    ),
    Defect(
        "the permutation test is one-sided",
        "train/reports/correlation.py",
        "permuted = np.abs([right[order] @ left for order in orders])",
        "permuted = np.array([right[order] @ left for order in orders])",
        CORRELATION,
    ),
    Defect(
        "the rank correlation is of the values",
        "train/reports/correlation.py",
        "ranks = stats.rankdata(values)",
        "ranks = np.asarray(values, float)",
        CORRELATION,
    ),
    Defect(
        "the robust gap stands beside natural margins",
        "train/reports/generalisation.py",
        'state = "natural" if kind == DISTANCE else STATES[gap]',
        'state = "natural"',
        RELATIONS,
    ),
    Defect(
        "records of another epsilon are compared",
        "train/reports/generalisation.py",
        '"epsilon", "steps",',
        '"steps",',
        RELATIONS,
    ),
]
