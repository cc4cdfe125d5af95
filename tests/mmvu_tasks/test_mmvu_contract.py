"""Whether an answer keeps its contract: a table of answers as models give them."""

from __future__ import annotations

import json

import pytest

from mmvu_tasks.contract import function, json_payload, read_contract, schema, tool_payload

WHOLE = '{"letter": "B", "evidence": "It is round."}'
CALL = json.dumps({"name": "submit_answer", "arguments": json.loads(WHOLE)})


def native(*calls: tuple[str, str], content: str | None = None) -> str:
    return json.dumps({"content": content, "tool_calls": [{"name": n, "arguments": a} for n, a in calls]})


@pytest.mark.parametrize(
    ("answer", "letter", "parses", "fits", "fluff", "problem"),
    [
        (WHOLE, "B", True, True, None, None),
        (f"  {WHOLE}\n", "B", True, True, None, None),
        (f"<think>{{B or C?}}</think>{WHOLE}", "B", True, True, None, None),
        (f"```json\n{WHOLE}\n```", "B", False, False, "fence", "fluff"),
        (f"```\n{WHOLE}```", "B", False, False, "fence", "fluff"),
        (f"Sure!\n```json\n{WHOLE}\n```", "B", False, False, "text", "fluff"),
        (f"{WHOLE} I hope that helps.", "B", False, False, "text", "fluff"),
        ('{"letter": "B"}', "B", True, False, None, "schema"),
        ('{"letter": "b", "evidence": ""}', None, True, False, None, "schema"),
        ('{"letter": "E", "evidence": ""}', None, True, False, None, "schema"),
        ('{"letter": ["B"], "evidence": ""}', None, True, False, None, "schema"),
        ('{"letter": "B", "evidence": "", "sure": true}', "B", True, False, None, "schema"),
        ('Here: {"letter": "B"}', "B", False, False, "text", "schema"),
        ('"B"', None, True, False, None, "schema"),
        ("[]", None, True, False, None, "schema"),
        ("B", None, False, False, None, "not_json"),
        ('{"letter": "B", "evidence": "It', None, False, False, None, "not_json"),
        ("", None, False, False, None, "not_json"),
        # readers differ in which of two values they take
        ('{"letter": "A", "letter": "B", "evidence": ""}', None, True, False, None, "schema"),
        ('{"letter": "B", "evidence": "", "evidence": ""}', "B", True, False, None, "schema"),
        ("NaN", None, False, False, None, "not_json"),
        ('{"letter": "B", "evidence": "It says <think>."}', "B", True, True, None, None),
        ("{" * 5000, None, False, False, None, "not_json"),
        ("[" * 5000, None, False, False, None, "not_json"),
    ],
)
def test_json(answer, letter, parses, fits, fluff, problem) -> None:
    kept = read_contract(answer, "json")
    assert kept.letter == letter
    assert kept.details == {"kind": "json", "parses": parses, "fits": fits, "fluff": fluff, "problem": problem}


@pytest.mark.parametrize(
    ("answer", "called", "letter", "calls", "problem"),
    [
        (native(("submit_answer", WHOLE)), True, "B", 1, None),
        (native(("submit_answer", '{"letter": "E", "evidence": ""}')), True, None, 1, "invalid_arguments"),
        (native(("submit_answer", '{"letter": "B"')), True, None, 1, "invalid_arguments"),
        (native(("answer", WHOLE)), True, "B", 1, "wrong_tool"),
        (native(("submit_answer", WHOLE), ("submit_answer", WHOLE)), True, "B", 2, "several_calls"),
        (native(("submit_answer", WHOLE), ("look", "{}")), True, "B", 2, "several_calls"),
        (native(("submit_answer", WHOLE), ("submit_answer", WHOLE.replace("B", "C"))), True, None, 2, "several_calls"),
        # servers without a parser of thoughts leave marks of them in what stands beside the call
        (native(("submit_answer", WHOLE), content="B or C?</think>\n\n"), True, "B", 1, None),
        (native(("submit_answer", WHOLE), content="<think>B or C?"), True, "B", 1, None),
        (native(("submit_answer", '{"letter": "A", "letter": "B"}')), True, None, 1, "invalid_arguments"),
        ("", True, None, 0, "no_call"),
        ("The answer is B.", True, None, 0, "no_call"),
        (CALL, True, None, 0, "no_call"),  # words of a call where it could have called
        (CALL, False, "B", 1, None),
        (f"<tool_call>\n{CALL}\n</tool_call>", False, "B", 1, None),
        (f"Let me call it: {CALL}", False, "B", 1, "fluff"),
        (f"```json\n{CALL}\n```", False, "B", 1, "fluff"),
        (CALL.replace("submit_answer", "answer"), False, "B", 1, "wrong_tool"),
        (WHOLE, False, None, 0, "no_call"),
        ("B", False, None, 0, "no_call"),
        ('{"name": "submit_answer", "arguments": null}', False, None, 1, "invalid_arguments"),
    ],
)
def test_tool(answer, called, letter, calls, problem) -> None:
    kept = read_contract(answer, "tool", called=called)
    assert kept.letter == letter
    assert kept.details == {"kind": "tool", "calls": calls, "fits": problem is None, "problem": problem}


def test_what_an_endpoint_is_sent_says_the_schema() -> None:
    assert json_payload()["response_format"]["json_schema"]["schema"] == schema()
    assert tool_payload()["tools"] == [{"type": "function", "function": function()}]
    assert function()["parameters"] == schema()
    assert schema()["properties"]["letter"]["enum"] == ["A", "B", "C", "D"]
