"""The kinds of evaluation. A new one is a file in this folder and a line here."""

from train.evaluation import autoattack, pgd_judgement
from train.evaluation.judgement import Kind

KINDS: dict[str, Kind] = {
    "pgd": pgd_judgement.KIND,
    "autoattack": autoattack.KIND,
}
