"""What an evaluation found, with every argument that it depends on."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console

from train.base.errors import UserError
from train.evaluation.target import Target

FOLDER = "evaluations"  # of the files beside evaluation.json


@dataclasses.dataclass(frozen=True)
class Judgement:
    """What an evaluation found.

    Attributes:
      name: a short name, for people.
      arguments: all that the results depend on. Two judgements are the same if these
        are equal.
      results: what was found.
      per_example: arrays with what was found for each example.
    """

    name: str
    arguments: dict[str, Any]
    results: dict[str, Any]
    per_example: dict[str, np.ndarray]

    @property
    def digest(self) -> str:
        """A checksum of the arguments, twelve hexadecimal digits."""
        content = json.dumps(self.arguments, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:12]

    @property
    def key(self) -> str:
        """The name of its record, which no other judgement has."""
        return f"{self.name} ({self.digest})"

    @property
    def file_name(self) -> str:
        """The name of its files, without a suffix."""
        kind = re.sub(r"[^\w.+-]+", "-", self.name.partition(",")[0])
        return f"{kind}-{self.digest}"

    @property
    def per_example_file(self) -> str:
        """The name of the file with the arrays, within the workdir."""
        return f"{FOLDER}/{self.file_name}.npz"

    @property
    def record(self) -> dict[str, Any]:
        """What `evaluation.json` holds of it under its key."""
        return {**self.arguments, **self.results, "per_example": self.per_example_file}

    def extended(
        self, results: Mapping[str, Any], per_example: Mapping[str, np.ndarray]
    ) -> "Judgement":
        """The same judgement with further results."""
        return dataclasses.replace(
            self,
            results={**self.results, **results},
            per_example={**self.per_example, **per_example},
        )


@dataclasses.dataclass(frozen=True)
class Options:
    """What a user may set of an evaluation; None: the default of its kind.

    Attributes:
      norm: "linf", "l2" or "l1"; default: the config's.
      epsilon: radius in pixels of [0, 1]; default: the config's.
      steps: of each restart of PGD.
      restarts: of PGD; 0: no attack.
      relative_step_size: of PGD, in epsilons.
      version: of AutoAttack.
      seed: of the attack's random numbers.
      num_examples: the first of the evaluated part; None: all.
      picture: whether to search for what a picture shows, where there is one.
    """

    norm: str | None = None
    epsilon: float | None = None
    steps: int | None = None
    restarts: int | None = None
    relative_step_size: float | None = None
    version: str | None = None
    seed: int | None = None
    num_examples: int | None = None
    picture: bool = True

    def given(self) -> dict[str, Any]:
        """The options that are set, except `num_examples` and `picture`."""
        fields = dataclasses.asdict(self)
        return {
            name: value
            for name, value in fields.items()
            if value is not None and name not in ("num_examples", "picture")
        }


class Kind(NamedTuple):
    """A kind of evaluation.

    Attributes:
      options: names of the options that it takes.
      judge: evaluates, and yields a judgement, perhaps again with further results.
    """

    options: tuple[str, ...]
    judge: Callable[[Target, Options, Console], Iterator[Judgement]]


def given_flags(options: Options, changed: Iterable[str] = ()) -> dict[str, str]:
    """The flags that set options, with the name of the option that each sets.

    Args:
      options: that are given.
      changed: fields of the config that are given.
    """
    return {f"--{option}": option for option in options.given()} | {
        f"--config.{field}": field.rpartition(".")[2]
        for field in changed
        if field.startswith("evaluation.")
    }


def check_options(
    chosen: Sequence[str], given: Mapping[str, str], takers: Mapping[str, Sequence[str]]
) -> None:
    """Raises `UserError` for a flag that only another kind of evaluation reads.

    Args:
      chosen: what is asked for, such as "--attack=pgd"; keys of `takers`.
      given: the option that each given flag sets.
      takers: everything that can be asked for, with the options that it reads.
    """
    for flag, option in given.items():
        readers = [name for name, options in takers.items() if option in options]
        if readers and not set(readers) & set(chosen):
            raise UserError(
                f"{flag} is for {' or '.join(readers)}, not for {' and '.join(chosen)}"
            )
