"""Whether an answer keeps the contract that was asked for: one JSON object by a schema, or one call of a function.

    read_contract('{"letter": "B", "evidence": "It is round."}', "json")
        ->  Kept("B", {"kind": "json", "parses": True, "fits": True, "fluff": None, "problem": None})
    read_contract('Sure!\\n```json\\n{"letter": "B", "evidence": "…"}\\n```', "json")
        ->  Kept("B", {"kind": "json", "parses": False, "fits": False, "fluff": "text", "problem": "fluff"})
    read_contract('{"tool_calls": [{"name": "submit_answer", "arguments": "{\\"letter\\": \\"E\\"}"}]}', "tool")
        ->  Kept(None, {"kind": "tool", "calls": 1, "fits": False, "problem": "invalid_arguments"})

These are the fields of `contract` in a verdict's `details`. fits: a program that takes the answer as it stands can go
on with it: the whole answer parses and fits the schema; or there is one call, of that function, whose arguments fit.
Where it does not fit, the letter is still read if there is one: an object amid other words (fluff: "fence", a code
fence alone; "text", words), arguments under another name. An answer that holds no such object is read as any other.

problem, of json: "not_json", "fluff" (it would fit without what is around it), "schema". Of tool: "no_call",
"wrong_tool", "invalid_arguments", "several_calls", "fluff" (where the prompt alone asks for the call). JSON is what a
strict reader takes for it: NaN is none, and a name that stands twice in an object has no value.

The schema is `answer_schema.json`. Where a class of the harness can send it (`Condition.payload`) an endpoint gets it
as `response_format`, or the function as `tools` with `tool_choice` "auto"; calls come back as the text in the third
example (`judge.harness.lmms_eval.payloads`). Otherwise the prompt has it, and so has the same text of a call.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from judge.core.thoughts import spoken
from mmvu_tasks.records import LETTERS

TOOL = "submit_answer"
PURPOSE = "Submit the answer to the question about the picture."
_FENCE = re.compile(r"\A```[a-zA-Z]{0,12}\s*\n?(.*?)\n?```\Z", re.DOTALL)
_CALL_TAGS = re.compile(r"\A<tool_call>(.*)</tool_call>\Z", re.DOTALL)
_MOST_OBJECTS = 50
"""Beginnings of an object that are tried in an answer."""


@dataclasses.dataclass(frozen=True)
class Kept:
    """letter: what the answer says by the contract, None where nothing of it can be read; details: see the module."""

    letter: str | None
    details: Mapping[str, Any]


@cache
def schema() -> Mapping[str, Any]:
    """The JSON schema of an answer."""
    found: dict[str, Any] = json.loads(Path(__file__).with_name("answer_schema.json").read_text(encoding="utf-8"))
    return found


def function() -> Mapping[str, Any]:
    """The function, as OpenAI's chat API describes one."""
    return {"name": TOOL, "description": PURPOSE, "parameters": schema()}


def json_payload() -> Mapping[str, Any]:
    """What an endpoint is sent so that it holds the model to the schema."""
    named = {"name": "answer", "schema": schema(), "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def tool_payload() -> Mapping[str, Any]:
    """What an endpoint is sent so that the model may call the function."""
    return {"tools": [{"type": "function", "function": function()}], "tool_choice": "auto"}


def read_contract(answer: str, contract: str, *, called: bool = False) -> Kept:
    """contract: "json" or "tool". called: an endpoint could be called, so that words are no call. Thoughts are not part
    of the answer; marks of them inside its JSON, as in what was said beside a call, end nothing."""
    said = answer.strip()
    if _parsed(said) is None:
        said = "".join(spoken(answer)).strip()
    return _read_tool(said, called) if contract == "tool" else _read_json(said)


def _read_json(said: str) -> Kept:
    whole = _parsed(said)
    parses = whole is not None
    found, fluff = (whole if isinstance(whole, dict) else None, None) if parses else _inside(said)
    fits = found is not None and _fits(found)
    problem: str | None
    if found is None:
        problem = "schema" if parses else "not_json"
    else:
        problem = "schema" if not fits else None if parses else "fluff"
    details = {"kind": "json", "parses": parses, "fits": parses and fits, "fluff": fluff, "problem": problem}
    return Kept(_letter(found), details)


def _read_tool(said: str, called: bool) -> Kept:
    whole = _parsed(said)
    fluff = None
    if isinstance(whole, dict) and isinstance(whole.get("tool_calls"), list):
        calls = [call for call in whole["tool_calls"] if isinstance(call, dict)]
    elif called:
        calls = []
    else:
        tagged = _CALL_TAGS.match(said)
        found = _parsed(tagged[1].strip()) if tagged else whole
        if not isinstance(found, dict):
            found, fluff = _inside(said)
        calls = [found] if found is not None and {"name", "arguments"} <= found.keys() else []
        fluff = fluff if calls else None
    given = [_arguments(call) for call in calls]
    named = [arguments for call, arguments in zip(calls, given, strict=True) if call.get("name") == TOOL]
    fits = [arguments for arguments in named if arguments is not None and _fits(arguments)]
    problem: str | None
    if not calls:
        problem = "no_call"
    elif not named:
        problem = "wrong_tool"
    elif len(fits) < len(named):
        problem = "invalid_arguments"
    else:
        problem = "several_calls" if len(calls) > 1 else "fluff" if fluff else None
    letters = {letter for arguments in (named or given) if (letter := _letter(arguments)) is not None}
    details = {"kind": "tool", "calls": len(calls), "fits": problem is None, "problem": problem}
    return Kept(letters.pop() if len(letters) == 1 else None, details)


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object; None for what stands in it twice, since readers differ in which they take."""
    counts = Counter(name for name, _ in pairs)
    return {name: value if counts[name] == 1 else None for name, value in pairs}


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_number)


def _parsed(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        return None


def _inside(said: str) -> tuple[Mapping[str, Any] | None, str | None]:
    """The last object in an answer that is more than that, and whether it stands in a code fence alone or in words."""
    fenced = _FENCE.match(said)
    if fenced and isinstance(found := _parsed(fenced[1]), dict):
        return found, "fence"
    objects = list(_objects(said))
    return (objects[-1], "text") if objects else (None, None)


def _objects(said: str) -> Iterator[Mapping[str, Any]]:
    position = 0
    for _ in range(_MOST_OBJECTS):
        position = said.find("{", position)
        if position < 0:
            return
        try:
            found, position = _DECODER.raw_decode(said, position)
        except (ValueError, RecursionError):
            position += 1
            continue
        if isinstance(found, dict):
            yield found


def _arguments(call: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The arguments of a call: JSON in a string, as endpoints give them, or an object."""
    given = call.get("arguments")
    found = _parsed(given) if isinstance(given, str) else given
    return found if isinstance(found, dict) else None


def _fits(found: Mapping[str, Any]) -> bool:
    """Whether an object fits `schema`."""
    required = schema()["required"]
    return sorted(found) == sorted(required) and found["letter"] in LETTERS and isinstance(found["evidence"], str)


def _letter(found: Mapping[str, Any] | None) -> str | None:
    said = (found or {}).get("letter")
    return said if isinstance(said, str) and said in LETTERS else None
