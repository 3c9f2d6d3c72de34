"""Which changes are tried, in which order, with plans in place of compiling."""

from types import SimpleNamespace

from train.planning import search
from train.planning.compiled import Refused
from train.planning.search import Change, Choices

ALL = Choices((2, 4), remat=True, fsdp=True, bfloat16=True, topologies=("b", "c"))
NONE = Choices((), remat=False, fsdp=False, bfloat16=False, topologies=())
REMAT, FSDP, HALF = {"model.remat": True}, {"fsdp": True}, {"model.dtype": "bfloat16"}
PARTS = {count: {"accumulate": count} for count in (2, 4, 8)}


def planned(need, memory=50, compiled=True):
    """A plan of that many bytes; without compiling, its state alone is too large."""
    step = SimpleNamespace() if compiled else Refused("not compiled", need, memory, 0.0)
    fits = compiled and need <= memory
    return SimpleNamespace(step=step, peak=need, state=need, fits=fits)


def tried(need, choices=ALL):
    """The changes that are tried, in order, and the one that is found, as flags.

    100 bytes are needed without a change, and 50 are there.
    """
    names = []

    def attempt(change):
        names.append(change.flags)
        result = need(change)
        return planned(result) if isinstance(result, int) else result

    found = search.smallest(attempt, choices, planned(100))
    return names, found and found.change.flags


def saving(**bytes_of):
    """What is needed if each field saves so much, and a part as much as all others."""

    def need(change):
        saved = sum(bytes_of.get(name.split(".")[-1], 0) for name in change.fields)
        return (
            100 - saved - bytes_of.get("parts", 0) * change.fields.get("accumulate", 0)
        )

    return need


def flags(*changes):
    return [Change(each).flags for each in changes]


def test_each_field_alone_before_two():
    names, found = tried(saving(fsdp=60))
    assert names == flags(PARTS[2], PARTS[4], REMAT, FSDP)
    assert found == "--config.fsdp=True"
    assert tried(saving(accumulate=60)) == (flags(PARTS[2]), "--config.accumulate=2")


def test_what_helps_is_tried_together_with_as_few_parts_as_fit():
    names, found = tried(saving(parts=5, fsdp=30, remat=10))
    assert names == flags(
        PARTS[2], PARTS[4], REMAT, FSDP, {**PARTS[4], **REMAT}, {**PARTS[4], **FSDP},
        {**PARTS[2], **FSDP},
    )  # fmt: skip
    assert found == "--config.accumulate=4 --config.fsdp=True"
    fewer, found = tried(saving(parts=10, fsdp=30))
    assert fewer[-1:] == flags({**PARTS[2], **FSDP})
    assert found == "--config.accumulate=2 --config.fsdp=True"


def test_what_does_not_help_is_not_tried_with_others():
    names, found = tried(saving(accumulate=-5, remat=0, fsdp=30, dtype=15))
    # More parts took no less memory, so there are not even more of them.
    assert names == [
        *flags(PARTS[2], PARTS[4], REMAT, FSDP, HALF, {**FSDP, **HALF}), "--topology=b",
        "--topology=c",
    ]  # fmt: skip
    assert found is None


def test_more_parts_only_as_long_as_they_take_less():
    choices = NONE._replace(parts=(2, 4, 8))
    assert tried(saving(accumulate=10), choices)[0] == flags(PARTS[2], PARTS[4])
    assert tried(saving(parts=1), choices)[0] == flags(PARTS[2], PARTS[4], PARTS[8])


def test_bfloat16_only_where_the_same_results_do_not_fit():
    names, found = tried(saving(dtype=60))
    assert names == flags(PARTS[2], PARTS[4], REMAT, FSDP, HALF)
    assert found == "--config.model.dtype=bfloat16"
    names, _ = tried(saving(dtype=60), ALL._replace(bfloat16=False))
    assert names == [
        *flags(PARTS[2], PARTS[4], REMAT, FSDP),
        "--topology=b",
        "--topology=c",
    ]


def test_bfloat16_with_as_little_else_as_fits():
    names, found = tried(saving(dtype=30, fsdp=15, remat=25))
    together = {**REMAT, **FSDP}
    assert names == flags(
        PARTS[2], PARTS[4], REMAT, FSDP, together, HALF, {**together, **HALF},
        {**REMAT, **HALF},
    )  # fmt: skip
    assert found == "--config.model.remat=True --config.model.dtype=bfloat16"


def test_more_chips_come_last_and_no_more_than_needed():
    names, found = tried(lambda change: 40 if change.topology == "b" else 100)
    assert names == [*flags(PARTS[2], PARTS[4], REMAT, FSDP, HALF), "--topology=b"]
    assert found == "--topology=b"


def test_a_state_that_alone_is_too_large_says_nothing_of_what_would_help():
    def need(change):
        if "fsdp" not in change.fields:
            return planned(90, compiled=False)
        return 60 - 5 * change.fields.get("accumulate", 0)

    names, found = tried(need)
    assert names == flags(
        PARTS[2], PARTS[4], REMAT, FSDP, {**PARTS[4], **REMAT}, {**PARTS[4], **FSDP},
        {**PARTS[2], **FSDP},
    )  # fmt: skip
    assert found == "--config.accumulate=2 --config.fsdp=True"


def test_what_is_not_possible_does_not_fit():
    assert tried(lambda change: None)[1] is None
    assert tried(lambda change: 10, NONE) == ([], None)
    one = lambda change: 10 if dict(change.fields) == FSDP else None
    assert tried(one) == (flags(PARTS[2], PARTS[4], REMAT, FSDP), "--config.fsdp=True")
