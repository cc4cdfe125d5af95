"""A model's answer with what led to it, as one text: harnesses carry one text a question.

    write_reply("B", info="1. Text/Numbers: …")  ->  '{"mmjudge_reply": {"answer": "B", "info": "1. Text/Numbers: …"}}'
    read_reply(that)                             ->  ("B", {"info": "1. Text/Numbers: …"})
    read_reply("B")                              ->  ("B", {})

So that what a procedure of several calls saw lies in the harness's samples, its cache and its prediction files, and is
there when they are scored again. info: the text that the first call extracted; refined: the file of a refined picture.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

KEPT = ("info", "refined")
_START = '{"mmjudge_reply": '


def write_reply(answer: str, **kept: str | None) -> str:
    """`answer` with those of `KEPT` that are not None; the answer alone where there are none."""
    found = {name: value for name, value in kept.items() if value is not None}
    return _START + json.dumps({"answer": answer, **found}) + "}" if found else answer


def read_reply(response: Any) -> tuple[Any, Mapping[str, str]]:
    """(answer, what was kept beside it) of a response, {} where it is no such text."""
    if not isinstance(response, str) or not response.startswith(_START):
        return response, {}
    try:
        found = json.loads(response)["mmjudge_reply"]
        answer = found["answer"]
        kept = {name: found[name] for name in KEPT if isinstance(found.get(name), str)}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return response, {}
    return (answer, kept) if isinstance(answer, str) else (response, {})
