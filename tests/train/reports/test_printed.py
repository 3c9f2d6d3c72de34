"""What a terminal shows of records."""

from train.reports import printed


def test_numbers_are_shown_and_long_lists_counted():
    found = {
        "error": {"value": 0.123456, "bins": [1] * 9}, "temperature": None,
        "diagram": {"width": [0.1] * 6}, "by_class": [{"class": 1}] * 6,
        "notes": ["one", "two"], "pair": [1, 2],
        "scores": {"energy": {"area": 0.5, "bins": [1] * 9}, "logit": {"area": 1.0}},
    }  # fmt: skip
    record = {"measure": "m\x1b[31m", "robust_accuracy": {}, "curve": 1, "found": found}
    assert list(printed.lines(record)) == [
        r"measure: m\x1b[31m", "found:", "  error: value 0.1235", "  temperature: None",
        "  by_class: 6 entries in the record", "  notes: one; two", "  pair: [1, 2]",
        "  scores:", "    energy: area 0.5", "    logit: area 1",
    ]  # fmt: skip


def test_lists_of_an_attack_have_a_line_for_each_entry():
    record = {"stages": [{"attack": "square", "robust_accuracy": 0.5}], "notes": []}
    assert list(printed.lines(record)) == [
        "stages:", "  attack square, robust_accuracy 0.5", "notes: []",
    ]  # fmt: skip
