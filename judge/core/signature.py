"""The line that fixes a number: everything that may change a verdict, nothing that only changes its speed.

    benchmark:mmie|edition:v1|data:MMIE/MMIE@4f0c…|profile:strict|rubric:mmjudge@1a2b3c4d|judge:MMIE/MMIE-Score@9e8d…|…

After sacreBLEU's signatures (github.com/mjpost/sacrebleu). Two results compare only where every part agrees,
`RUN_PARTS` aside. Of those, `asked` is said beside a comparison: another wording may be the very thing that is
compared, and of answers that were saved before nobody knows it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping

RUN_PARTS = frozenset({"asked", "feedback"})
"""Parts that name one run's input, not how it was measured: how the model was asked, the file that a replay read."""
CONDITION = "condition"
"""The part that results have whose questions were asked under a condition (`judge.core.condition`)."""
FEEDBACK = "feedback"
"""The part that a replay has."""
UNKEYED_PARTS = frozenset({"asked", "part", "subset", "exact"})
"""Parts that say where answers come from and which there are, or how a rule reads them, not how they are judged: the
same answer keeps the key of its verdict."""


@dataclasses.dataclass(frozen=True)
class Signature:
    """Ordered parts, name → value. Values are short strings without `|`."""

    parts: Mapping[str, str]

    def __str__(self) -> str:
        return "|".join(f"{name}:{value}" for name, value in self.parts.items())

    @property
    def digest(self) -> str:
        """SHA-256 over the parts, `UNKEYED_PARTS` aside, hex; part of every journal key."""
        keyed = [(name, value) for name, value in self.parts.items() if name not in UNKEYED_PARTS]
        return hashlib.sha256(json.dumps(keyed).encode()).hexdigest()

    def differences(self, other: Signature) -> dict[str, tuple[str | None, str | None]]:
        """Parts that differ, `RUN_PARTS` aside, name → (ours, theirs); None where a side lacks the part."""
        return {name: values for name, values in self.all_differences(other).items() if name not in RUN_PARTS}

    def all_differences(self, other: Signature) -> dict[str, tuple[str | None, str | None]]:
        """As `differences`, with those that name one run's input."""
        names = dict.fromkeys([*self.parts, *other.parts])
        values = {name: (self.parts.get(name), other.parts.get(name)) for name in names}
        return {name: pair for name, pair in values.items() if pair[0] != pair[1]}

    @classmethod
    def parse(cls, line: str) -> Signature:
        """The signature that a line spells: the inverse of `str`. A part without `:` has an empty value."""
        pairs = (part.partition(":") for part in line.split("|"))
        return cls({name: value for name, _, value in pairs})
