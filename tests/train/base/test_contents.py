"""What a field may hold, and what is said of anything else."""

from collections.abc import Mapping, Sequence

import pytest

from train.base import contents, files
from train.base.errors import UserError

GOOD = [
    (3, int), (3, float), (2.5, float), ("a", str), (True, bool), ((), Sequence[int]),
    ([1, 2], Sequence[int]), (((0.5,), (1,)), Sequence[Sequence[float]]),
    ({"a": 1}, Mapping[str, float]), (2**31 - 1, int),
]  # fmt: skip
BAD = [
    (True, int, "x must be an integer, got True"),
    (3.0, int, "x must be an integer, got 3.0"),
    (None, str, "x must be text, got None"),
    (1, bool, "x must be True or False, got 1"),
    (float("nan"), float, "x must be a finite number, got nan"),
    (10**400, float, f"x must be a finite number, got 1{'0' * 56}..."),
    (2**31, int, "x must be at most 2147483647, got 2147483648"),
    (-(2**31), int, "x must be at least -2147483647, got -2147483648"),
    ((1, "a"), Sequence[int], "x must be a list of integers up to 2147483647, got (1, 'a')"),
    ("ab", Sequence[str], "x must be a list of texts, got 'ab'"),
    ((1.0,), Sequence[Sequence[float]], "x must be a list of lists of finite numbers, got (1.0,)"),
    ({"a": "b"}, Mapping[str, float], "x must be an object of finite numbers, got {'a': 'b'}"),
    ("a" * 80, int, f"x must be an integer, got '{'a' * 56}..."),
]  # fmt: skip


@pytest.mark.parametrize(("value", "kind"), GOOD)
def test_what_a_field_may_hold(value, kind):
    contents.check("x", value, kind)


@pytest.mark.parametrize(("value", "kind", "message"), BAD)
def test_what_it_may_not(value, kind, message):
    with pytest.raises(UserError) as raised:
        contents.check("x", value, kind)
    assert str(raised.value) == message


def test_objects_in_json():
    assert contents.check_object("f", {"a": 1, "b": 2}, a=int) == {"a": 1, "b": 2}
    for content, message in (
        ([1], "f must hold a JSON object, got [1]"),
        ({}, "f lacks the field a"),
        ({"a": "b"}, "f: a must be an integer, got 'b'"),
    ):
        with pytest.raises(UserError) as raised:
            contents.check_object("f", content, a=int)
        assert str(raised.value) == message


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_json_that_cannot_be_read(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"x\.json cannot be read: "):
        files.read_json(path)
