"""The log of a run that goes on: which of its lines are kept."""

import json

from train.training.writers import DAMAGED, NAME, MetricsWriter, logged

WHOLE = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}]
TEXT = "".join(json.dumps(line) + "\n" for line in WHOLE)


def resumed(workdir, content):
    (workdir / NAME).write_bytes(content)
    MetricsWriter(workdir, 2).close()
    lines = [json.loads(line) for line in (workdir / NAME).read_text().splitlines()]
    kept = {path.name: path.read_bytes() for path in workdir.glob("metrics_*")}
    return lines, kept


def test_a_cut_last_line_is_no_damage(tmp_path):
    assert resumed(tmp_path, (TEXT + '{"step": 3, "lo').encode()) == (WHOLE, {})


def test_a_damaged_file_is_kept_beside_the_new_one(tmp_path):
    first, second = TEXT.splitlines(keepends=True)
    for number, bad in enumerate((b"\xff\x00", b"[1]", b'{"loss": 1}', b"[" * 9999)):
        content = first.encode() + bad + b"\n" + second.encode()
        (tmp_path / "x").mkdir(exist_ok=True)
        lines, kept = resumed(tmp_path / "x", content)
        assert lines == WHOLE
        assert len(kept) == number + 1
        assert content in kept.values()
    assert DAMAGED in kept


def test_foreign_lines_are_not_logged(tmp_path):
    (tmp_path / NAME).write_text('"a"\n{"step": "b"}\n{"step": 4}\n{"step": 1}\n')
    assert logged(tmp_path, until=3) == [{"step": 1}]
