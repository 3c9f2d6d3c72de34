"""The list of planted defects fits the code, and the script says who notices what."""

import pytest

from tests import planted
from tests.defects import ROOMS
from tests.defects.defect import Defect

DEFECTS = [defect for defects in ROOMS.values() for defect in defects]


@pytest.mark.parametrize("room", ROOMS)
def test_every_text_occurs_once_and_the_changed_code_compiles(room):
    for defect in ROOMS[room]:
        path = planted.located(defect, planted.ROOT)
        text = path.read_text()
        compile(text.replace(defect.old, defect.new), str(path), "exec")


def test_there_are_many_different_defects():
    assert len(DEFECTS) >= 40
    assert all(len(defects) >= 3 for defects in ROOMS.values())
    changes = {(defect.where, defect.old, defect.new) for defect in DEFECTS}
    assert len(changes) == len({defect.says for defect in DEFECTS}) == len(DEFECTS)
    assert all(defect.old != defect.new for defect in DEFECTS)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """Code of one function, a quick test of it, and a long one that sees more."""
    (tmp_path / "shares.py").write_text(
        "def halves(x):\n    return [x / 2, x - x / 2]\n"
    )
    (tmp_path / "test_shares.py").write_text(
        "import pytest\n"
        "from shares import halves\n\n"
        "def test_sum():\n"
        "    assert sum(halves(3)) == 3\n\n"
        "@pytest.mark.long\n"
        "def test_both():\n"
        "    assert halves(3) == [1.5, 1.5]\n"
    )
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\npythonpath = .\nmarkers =\n    long\n    slow\n"
    )
    monkeypatch.setattr(planted, "ROOT", tmp_path)
    return tmp_path


def change(old, new):
    return Defect(f"{old} becomes {new}", "shares.py", old, new, ("test_shares.py",))


LOUD = change("x - x / 2", "x + x / 2")
SUBTLE = change("[x / 2, x - x / 2]", "[x / 4, x - x / 4]")
SILENT = change("def halves(x):", "def halves(x):  # of a number")


@pytest.mark.long
def test_the_table_says_which_test_notices(checkout, monkeypatch, capsys):
    monkeypatch.setattr(planted, "ROOMS", {"shares": [LOUD, SUBTLE, SILENT]})
    text = (checkout / "shares.py").read_text()
    assert planted.main(["--long"]) == 1
    lines = [line.split(" | ") for line in capsys.readouterr().out.splitlines()]
    assert [line[2] for line in lines if len(line) == 4] == [
        "test_shares.py::test_sum", "test_shares.py::test_both", "NOBODY",
    ]  # fmt: skip
    assert lines[-1] == ["2 of 3 defects are noticed"]
    assert (checkout / "shares.py").read_text() == text


def test_long_tests_run_only_if_asked_for(checkout, monkeypatch, capsys):
    monkeypatch.setattr(planted, "ROOMS", {"shares": [SUBTLE]})
    assert planted.main(["--trust"]) == 1
    assert "NOBODY" in capsys.readouterr().out
    assert planted.main(["--trust", "--long"]) == 0


def test_a_text_that_is_not_there_or_is_there_twice(checkout, monkeypatch, capsys):
    defects = [change("y", "z"), change("x / 2", "x / 3"), LOUD]
    monkeypatch.setattr(planted, "ROOMS", {"shares": defects})
    assert planted.main(["--trust"]) == 1
    said = capsys.readouterr().out
    assert "'y' occurs 0 times in shares.py" in said
    assert "'x / 2' occurs 2 times in shares.py" in said
    assert "1 of 3 defects are noticed" in said


def test_a_test_that_fails_anyway_notices_nothing(checkout, monkeypatch):
    monkeypatch.setattr(planted, "ROOMS", {"shares": [LOUD]})
    (checkout / "test_shares.py").write_text("def test_nothing():\n    assert 0\n")
    with pytest.raises(SystemExit, match="test_nothing fails already"):
        planted.main([])


def test_missing_tests_are_named(checkout):
    defect = Defect("x", "shares.py", "x - x", "x + x", ("test_none.py",))
    with pytest.raises(planted.CannotPlant, match="no tests test_none.py"):
        planted.located(defect, checkout)


def test_one_room_can_be_chosen(capsys):
    assert planted.main(["--list", "--only=models"]) == 0
    *listed, count = capsys.readouterr().out.splitlines()
    assert len(listed) == len(ROOMS["models"])
    assert count == f"{len(listed)} defects"
    assert planted.chosen("momentum") != planted.chosen(None)
