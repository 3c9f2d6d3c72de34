"""Defects of the examples."""

from tests.defects.defect import Defect

DECODER = "examples/distil_decoder"
TESTS = ("tests/examples/test_distil_decoder.py",)

DEFECTS = [
    Defect(
        "tokens see those after them",
        DECODER,
        "x = x + attention(nn.RMSNorm()(x), mask=mask)",
        "x = x + attention(nn.RMSNorm()(x))",
        TESTS,
    ),
    Defect(
        "of three equal pieces both pairs are merged",
        DECODER,
        "starts = starts[(order - np.maximum.accumulate(run_starts)) % 2 == 0]",
        "starts = starts[(order - np.maximum.accumulate(run_starts)) >= 0]",
        TESTS,
    ),
    Defect(
        "the rest of the teacher's probability is left out when it is asked for",
        DECODER,
        'if found[1] == "top":',
        "if found[1]:",
        TESTS,
    ),
    Defect(
        "the test part is also what settings are chosen by",
        DECODER,
        '"test": texts[14::20]',
        '"test": texts[4::20]',
        TESTS,
    ),
]
