"""The conditions under which the same questions are asked: what is put around them, which picture is shown, what form
the answer must have, and in how many calls it is asked for.

    Condition("blind", "direct@5a1f0c33", picture="none").identity    ->  "blind@9b1c22d0"
    Condition("cgr", "cgr@77aa01be", procedure="cgr")

A benchmark names its own (`mmvu_tasks.conditions`, `mmie_tasks.conditions`); "mmvu_blind" is a task of lmms-eval and a
dataset of VLMEvalKit, and the signature of its results has the part `condition:blind@9b1c22d0`. Without a condition
the questions are asked as published, and nothing of this stands anywhere.

picture     real, as published · none, text only · blank, all grey · noise, every level as likely · swapped, the picture
            of another question of another category. Blank and noise have the size of the picture they stand for.
contract    letter, read out of whatever is said · json, one object by a schema · tool, a call of a function
procedure   one call · cgr, content-guided refinement · var, visual attention refinement · cgr_var, both

What results carry of it: `results.json` has `condition` (`Condition.to_json`) and, where one was asked for, `contract`
(`mmvu_tasks.contract_numbers`); `repeats.json` has `stability` (`mmvu_tasks.stability`). A verdict's `details` have
`info`, the text that CGR's first call extracted, `refined`, the name of the picture that VAR made, and `contract`
(`mmvu_tasks.contract`). Which picture was shown instead, `Benchmark.questions` under the same condition says.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from judge.core.request import Picture
from judge.errors import UserError

Shown = Literal["real", "none", "blank", "noise", "swapped"]
Contract = Literal["letter", "json", "tool"]
Procedure = Literal["one call", "cgr", "var", "cgr_var"]
Alteration = Literal["blank", "noise"]

GREY = 128
"""The level of a blank picture in all three channels: about the middle, which most processors make about 0."""
FIRST_TOKENS = 512
"""How long the answer of a first call may be where a harness lets us say so; a choice of the conditions that have one.
"""
ALTERED = f"altered1-grey{GREY}-shake256"
"""How blank and noisy pictures are made (`judge.model.altered`); part of the hash of the conditions that show them."""


@dataclasses.dataclass(frozen=True)
class Altered(Picture):
    """A picture that is shown as a blank or as noise of its size; `path` is the real one. seed: of the noise."""

    how: Alteration = "blank"
    seed: str = ""


@dataclasses.dataclass(frozen=True)
class Condition:
    """One condition. name: the part behind the benchmark's in the name of a task. wording: of the template, by name and
    hash, as in `Benchmark.asked`.

    choices: what else decides, each as a word: the choices of a method, the hash of a schema. payload: what an endpoint
    is sent beside the messages, so that it holds the model to the contract; empty where the prompt alone asks for it.
    by_endpoint: the same condition for model classes that can send a payload, None where there is nothing to send.
    """

    name: str
    wording: str = ""
    picture: Shown = "real"
    contract: Contract = "letter"
    procedure: Procedure = "one call"
    choices: tuple[str, ...] = ()
    payload: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False)
    by_endpoint: Condition | None = dataclasses.field(default=None, compare=False)

    @property
    def template(self) -> str:
        """The name of the template."""
        return self.wording.partition("@")[0]

    @property
    def plain(self) -> bool:
        """Whether it is no condition: questions as published."""
        return self.name == PLAIN.name

    @property
    def identity(self) -> str:
        """Name and hash of all that it is: the part `condition` of a signature."""
        said = [self.wording, self.picture, self.contract, self.procedure, *self.choices]
        if self.picture in ("blank", "noise"):
            said.append(ALTERED)
        content = json.dumps([said, self.payload], sort_keys=True)
        return f"{self.name}@{hashlib.sha256(content.encode()).hexdigest()[:8]}"

    def to_json(self) -> dict[str, Any]:
        """The part `condition` of `results.json`. enforced: whether an endpoint held the model to the contract."""
        return {
            "name": self.name,
            "identity": self.identity,
            "wording": self.wording,
            "picture": self.picture,
            "contract": self.contract,
            "procedure": self.procedure,
            "choices": list(self.choices),
            "enforced": bool(self.payload),
        }

    def show(self, picture: Picture, seed: str) -> Picture | None:
        """What is shown in place of `picture`; of a swapped one the benchmark gives the other (`pick`) itself.

        seed: says which picture this is, such as "context/expert/01", wherever the data lies.
        """
        if self.picture == "none":
            return None
        if self.picture == "blank" or self.picture == "noise":
            return Altered(picture.path, picture.name, picture.scaled, how=self.picture, seed=seed)
        return picture


PLAIN = Condition("plain")
"""No condition: the benchmark's own wording, its pictures, one call."""


def find_condition(conditions: Mapping[str, Condition], name: str) -> Condition:
    """The condition of this name or identity. Raises UserError with the nearest name, and for the identity of another
    condition of a name: what was asked under it was asked by another version.

    conditions: those of a benchmark (`Benchmark.conditions`), by name.
    """
    short, _, digest = name.partition("@")
    if short == PLAIN.name:
        return PLAIN
    found = conditions.get(short)
    if found is None:
        near = difflib.get_close_matches(name, conditions, 1)
        nearest = f"did you mean {near[0]!r}? " if near else ""
        raise UserError(f"no condition called {name!r}", fix=f"{nearest}there are: {', '.join(conditions)}")
    if not digest:
        return found
    for one in (found, found.by_endpoint):
        if one is not None and one.identity == name:
            return one
    raise UserError(
        f"asked under {name}, and here {short} is {found.identity}",
        fix=f"score with the version of mmjudge that asked; --condition {short} scores it as if asked under the latter",
    )


def pick(seed: str, count: int, suits: Callable[[int], bool]) -> int | None:
    """A number below `count` that suits, the same on every machine for the same seed; None where none does."""
    for number in (*_draws(seed, count), *range(count)):
        if suits(number):
            return number
    return None


def _draws(seed: str, count: int) -> Iterator[int]:
    """As many numbers as there are, at random."""
    for attempt in range(count):
        digest = hashlib.sha256(f"{seed}/{attempt}".encode()).digest()
        yield int.from_bytes(digest[:8], "big") % count
