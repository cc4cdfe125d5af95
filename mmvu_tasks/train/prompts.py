"""The prompts that MMVU-Train was made with, versions 0 to 3, as files in `templates/` with their figures' numbers.

    version_of("v3").text({"id": "7", "image": "7.jpg"})
    ->  'Input JSON:\\n{"id": "7", "image": "7.jpg"}STEP-1: Parse and extract information …'

A prompt is the sample's JSON, the common part (Fig. 3), the version's part (v0: Fig. 4, v1: Fig. 5, v2: Fig. 9, v3:
Fig. 10, the one that was adopted), and the form of the reply. The figures are of the supplement to arXiv 2406.10638,
without its bold type and headings. The form is in our words: Fig. 10 ends before its requirements, which the authors'
script has (7 to 10 pairs, four options, at most 15 words, no "uncertain", "unclear" or "not clear").

Versions 0 to 2 ask for answers of at most 30 characters. The published examples (Figs. 12 to 14) do not keep to it, so
it is not checked; 15 words are.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from judge.io.jsonl import writable
from mmvu_tasks.train.pairs import NEG, POS

VERSIONS = ("v0", "v1", "v2", "v3")
BANNED = ("uncertain", "unclear", "not clear")
"""No answer may have these words."""
_FOLDER = Path(__file__).parent / "templates"
_FILES = {
    "v0": ("fig4_v0", "form_single"),
    "v1": ("fig5_v1", "form_single"),
    "v2": ("fig9_v2", "form_pairs"),
    "v3": ("fig10_v3", "form_choice"),
}


@dataclasses.dataclass(frozen=True)
class Rules:
    """What a reply must be. fields: names of its conversations. pairs: fewest and most questions of each. options: of
    each question, 0 for none. words: the most of an answer."""

    fields: tuple[str, ...]
    pairs: tuple[int, int] = (7, 10)
    options: int = 0
    words: int = 15
    banned: tuple[str, ...] = BANNED


RULES: Mapping[str, Rules] = {
    "v0": Rules(("conversations",)),
    "v1": Rules(("conversations",), pairs=(8, 8)),  # 2 on characters, 4 semantic, 2 on understanding
    "v2": Rules((POS, NEG)),
    "v3": Rules((POS, NEG), options=4),
}


@dataclasses.dataclass(frozen=True)
class Version:
    """One version of the prompt."""

    name: Literal["v0", "v1", "v2", "v3"]

    @property
    def rules(self) -> Rules:
        """What its replies must be."""
        return RULES[self.name]

    @property
    def digest(self) -> str:
        """SHA-256, hex, of its text without a sample."""
        return hashlib.sha256(self._after.encode()).hexdigest()

    @property
    def _after(self) -> str:
        return "\n".join(map(_template, ("fig3_extract", *_FILES[self.name])))

    def text(self, sample: Mapping[str, Any]) -> str:
        """What is asked about a sample; nothing stands between its JSON and the prompt, as it was run."""
        return f"Input JSON:\n{writable(json.dumps(sample, ensure_ascii=False))}{self._after}"

    def schema(self) -> dict[str, Any]:
        """JSON Schema of a reply, within what servers with structured output take (all fields required, no others)."""
        rules, text = self.rules, {"type": "string"}
        asked: dict[str, Any] = {"from": {"const": "human", **text}, "value": text}
        if rules.options:
            asked["options"] = {"type": "array", "items": text, "minItems": rules.options, "maxItems": rules.options}
        message = {"anyOf": [_object(asked), _object({"from": {"const": "gpt", **text}, "value": text})]}
        fewest, most = rules.pairs
        turns = {"type": "array", "items": message, "minItems": 2 * fewest, "maxItems": 2 * most}
        return _object({"id": text, "image": text, **dict.fromkeys(rules.fields, turns)})


def version_of(name: str) -> Version:
    """The version of a name. Raises KeyError."""
    RULES[name]
    return Version(name)  # type: ignore[arg-type]


def asked_again(problems: Sequence[str]) -> str:
    """What is said to a model whose reply cannot be used."""
    return _template("again").replace("{problems}", "\n".join(f"- {problem}" for problem in problems))


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


@functools.cache
def _template(name: str) -> str:
    return (_FOLDER / f"{name}.txt").read_text(encoding="utf-8").removesuffix("\n")
