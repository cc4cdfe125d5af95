"""Conditions: what their hash depends on, how one is found, and what is shown."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from judge.core.condition import PLAIN, Altered, Condition, find_condition, pick
from judge.core.reply import read_reply, write_reply
from judge.core.request import Picture
from judge.errors import UserError

JSON = Condition("json", "json@00000000", contract="json")
HELD = dataclasses.replace(JSON, payload={"response_format": {"type": "json_schema"}})
CONDITIONS = {
    "blind": Condition("blind", "direct@00000000", picture="none"),
    "json": dataclasses.replace(JSON, by_endpoint=HELD),
}
PICTURE = Picture(Path("/data/a.jpg"), "a.jpg")


def test_the_hash_depends_on_all_that_is_asked_and_not_on_the_other_form() -> None:
    changed = (
        {"wording": "direct@11111111"},
        {"picture": "blank"},
        {"contract": "json"},
        {"procedure": "cgr"},
        {"choices": ("tokens:512",)},
        {"payload": {"tools": []}},
    )
    blind = CONDITIONS["blind"]
    identities = [dataclasses.replace(blind, **change).identity for change in changed]
    assert len({blind.identity, *identities}) == len(changed) + 1
    assert all(identity.startswith("blind@") for identity in identities)
    assert CONDITIONS["json"].identity == JSON.identity != HELD.identity
    assert hash(HELD) != hash(blind)


def test_a_condition_is_found_by_name_or_identity_and_else_the_nearest_is_named() -> None:
    assert find_condition(CONDITIONS, "blind") is CONDITIONS["blind"]
    assert find_condition(CONDITIONS, JSON.identity) is CONDITIONS["json"]
    assert find_condition(CONDITIONS, HELD.identity) is HELD
    assert find_condition(CONDITIONS, "plain") is PLAIN
    # templates have changed since
    with pytest.raises(UserError, match=f"asked under json@00000000, and here json is {JSON.identity}") as caught:
        find_condition(CONDITIONS, "json@00000000")
    assert "--condition json scores it as if" in str(caught.value.fix)
    with pytest.raises(UserError, match="no condition called 'blnd'") as caught:
        find_condition(CONDITIONS, "blnd")
    assert caught.value.fix == "did you mean 'blind'? there are: blind, json"


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ("real", PICTURE),
        ("none", None),
        ("blank", Altered(PICTURE.path, "a.jpg", how="blank", seed="x/1")),
        ("noise", Altered(PICTURE.path, "a.jpg", how="noise", seed="x/1")),
    ],
)
def test_what_is_shown(shown, expected) -> None:
    assert Condition("c", picture=shown).show(PICTURE, "x/1") == expected


def test_a_number_is_picked_the_same_everywhere_and_suits() -> None:
    # SHA-256 of "attribute/shape/07/0" begins with 8 bytes that are 3 modulo 10: by hashlib, no table of ours
    import hashlib

    first = int.from_bytes(hashlib.sha256(b"attribute/shape/07/0").digest()[:8], "big") % 10
    assert pick("attribute/shape/07", 10, lambda number: True) == first
    assert pick("attribute/shape/07", 10, lambda number: number == 4) == 4
    assert pick("attribute/shape/07", 10, lambda number: False) is None
    assert len({pick(str(n), 10, lambda number: True) for n in range(100)}) == 10


@pytest.mark.parametrize("answer", ["B", "", '{"a": 1}', "\n\ud800é"])
def test_a_reply_comes_back_as_it_went_in(answer) -> None:
    assert write_reply(answer) == answer
    assert write_reply(answer, info=None) == answer
    assert read_reply(write_reply(answer, info="1. Text: none", refined=None)) == (answer, {"info": "1. Text: none"})


@pytest.mark.parametrize(
    "response",
    ["B", None, ["B"], '{"mmjudge_reply": ', '{"mmjudge_reply": 3}', '{"mmjudge_reply": {"answer": 1}}', "{" * 9999],
)
def test_what_is_no_reply_is_the_answer(response) -> None:
    assert read_reply(response) == (response, {})
