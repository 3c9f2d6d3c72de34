"""What a planted defect is; `tests/planted.py` plants them."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Defect:
    """A change of one place in the code that a test must notice.

    Attributes:
      says: what goes wrong, in one sentence.
      where: the file, or a folder in one of whose files the text is.
      old: the text as it is; it must occur exactly once there.
      new: the text with the defect.
      tests: the files, or folders, of the tests that are to notice it.
    """

    says: str
    where: str
    old: str
    new: str
    tests: tuple[str, ...]
