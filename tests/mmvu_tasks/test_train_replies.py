"""What a reply is: the published examples pass, and everything that can be wrong is said in words."""

from __future__ import annotations

import copy
import json

import pytest

from mmvu_tasks.train.pairs import NEG, POS
from mmvu_tasks.train.prompts import RULES, VERSIONS, asked_again, version_of
from mmvu_tasks.train.replies import check_reply, find_object
from mmvu_tasks.train.samples import Sample

SAMPLE = Sample("kitchen", "kitchen.jpg", {"id": "kitchen", "image": "kitchen.jpg"})

# Figs. 15 and 16 of the supplement: (question, options, answer); the published example of prompt v3
FIG_15 = [
    ("Are there two people in the kitchen?", ["Yes, there are two people.", "Yes, there are three people.",
     "No, there is only one person.", "No, there are four people."], "Yes, there are two people."),
    ("Are the people in the kitchen cooking?", ["Yes, they are cooking.", "No, they are cleaning.",
     "No, they are eating.", "Yes, they are fixing something."], "Yes, they are cooking."),
    ("How many bowls are there on the counter?", ["One bowl.", "Four bowls.", "Six bowls.", "Two bowls."],
     "Four bowls."),
    ("What is the main activity happening?", ["Preparing a meal.", "Washing dishes.", "Playing games.",
     "Reading books."], "Preparing a meal."),
    ("Is there a dishwasher in the image?", ["Yes, the dishwasher is there.", "No, there's no dishwasher.",
     "It's unclear.", "There is a microwave instead."], "Yes, the dishwasher is there."),
    ("Is there a pot on the table?", ["Yes, there is a pot.", "No, there isn't a pot.", "Yes, there are two pots.",
     "No, there are only pans."], "Yes, there is a pot."),
    ("Are the people preparing food in a modern kitchen?", ["Yes, they are.", "No, it's an old kitchen.",
     "Yes, in a living room.", "No, it's a commercial kitchen."], "Yes, they are."),
]  # fmt: skip
FIG_16 = [
    ("Are there three people in the kitchen?", ["Yes, there are two people.", "Yes, there are three people.",
     "No, only one person.", "No, four people."], "No, only one person."),
    ("Are the people in the kitchen cleaning?", ["Yes, they are cooking.", "No, they are cleaning.",
     "No, they are eating.", "Yes, fixing something."], "Yes, they are cooking."),
    ("How many bowls are there on the countertop?", ["One bowl.", "Four bowls.", "Six bowls.", "Two bowls."],
     "Four bowls."),
    ("What is the secondary activity happening?", ["Preparing a meal.", "Washing dishes.", "Playing games.",
     "Reading books."], "Preparing a meal."),
    ("Is there a microwave in the image?", ["Yes, the microwave is there.", "No, there's no microwave.",
     "It's unclear.", "There is a dishwasher."], "There is a dishwasher."),
    ("Is there a pan on the table?", ["Yes, there is a pot.", "No, there isn't a pot.", "Yes, there are two pans.",
     "No, only bowls."], "Yes, there is a pot."),
    ("Are the people preparing food in a commercial kitchen?", ["Yes, they are.", "No, it's old kitchen.",
     "Yes, a living room.", "No, modern kitchen."], "No, modern kitchen."),
]  # fmt: skip


def turns(asked, *, options=True):
    found = []
    for question, choices, answer in asked:
        found.append({"from": "human", "value": question, **({"options": list(choices)} if options else {})})
        found.append({"from": "gpt", "value": answer})
    return found


def published():
    return {"id": "another", "image": "another.jpg", POS: turns(FIG_15), NEG: turns(FIG_16)}


def problems(value, version="v3"):
    return check_reply(value if isinstance(value, str) else json.dumps(value), SAMPLE, RULES[version]).problems


@pytest.mark.parametrize(
    "wrap", ["{}", "```json\n{}\n```", "Here you are:\n```\n{}\n```\nDone.", "Sure: {} That is it."]
)
def test_the_published_example_is_a_record_in_any_wrapping(wrap):
    checked = check_reply(wrap.replace("{}", json.dumps(published())), SAMPLE, RULES["v3"])
    assert checked.problems == ()
    record = checked.record
    assert (record.id, record.image) == ("kitchen", "kitchen.jpg")  # the sample's, not the reply's
    assert [turn.question for turn in record.positives] == [question for question, _, _ in FIG_15]
    assert [turn.answer for turn in record.negatives] == [answer for _, _, answer in FIG_16]
    assert len(record.matched) == 7


@pytest.mark.parametrize(("n", "said"), [(6, "6 questions, not 7 to 10"), (7, None), (10, None), (11, "11 questions")])
def test_v3_has_seven_to_ten_pairs(n, said):
    value = published()
    for field in (POS, NEG):
        more = copy.deepcopy(value[field][:2] * 5)
        for number, message in enumerate(more[::2]):
            message["value"] = f"{number}: {message['value']} ({field})"
        value[field] = (value[field] + more)[: 2 * n]
    found = problems(value)
    assert found == () if said is None else (len(found) == 2 and all(said in problem for problem in found))


def changed(change):
    value = published()
    change(value)
    return value


BAD = {
    "no turns": (lambda v: v[POS].pop(0), "conversations-pos: 13 messages: the last question has no answer"),
    "two questions in a row": (lambda v: v[NEG][1].update({"from": "human"}),
                               "conversations-neg: message 2 is from 'human', not 'gpt': they take turns"),
    "no text": (lambda v: v[POS][3].update(value=7), 'conversations-pos: message 4 has no text under "value"'),
    "no conversation": (lambda v: v.pop(NEG), "conversations-neg: it is missing"),
    "not a list": (lambda v: v.update({POS: "none"}), "conversations-pos: it is not a list of messages"),
    "empty question": (lambda v: v[POS][0].update(value="<image>\n "), "conversations-pos: a question is empty"),
    "empty answer": (lambda v: v[POS][1].update(value=" "),
                     "conversations-pos: the answer to 'Are there two people in the kitchen?' is empty"),
    "three options": (lambda v: v[POS][0]["options"].pop(), "has 3 options, not 4"),
    "no options": (lambda v: v[POS][0].pop("options"), "has 0 options, not 4"),
    "options that are none": (lambda v: v[POS][0].update(options=[1, 2, 3, 4]), "are not a list of texts"),
    "an empty option": (lambda v: v[NEG][0]["options"].__setitem__(1, ""), "an option of"),
    "one option twice": (lambda v: v[NEG][0]["options"].__setitem__(0, "no, FOUR people."), "two options of"),
    "the right one missing": (lambda v: v[POS][1].update(value="Two."), "is none of its options"),
    "too many words": (lambda v: (v[POS][1].update(value="a " * 16), v[POS][0]["options"].__setitem__(0, "a " * 16)),
                       "has 16 words, more than 15"),
    "a banned word": (lambda v: (v[POS][9].update(value="It's unclear.")), 'says "unclear"'),
    "a missing partner": (lambda v: (v[POS].extend(copy.deepcopy(v[POS][:2]))),
                          "8 positive questions and 7 negative ones do not match"),
    "the same question": (lambda v: v[NEG][4].update(value=FIG_15[2][0].upper()), "is its positive question"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_said(case):
    change, said = BAD[case]
    found = problems(changed(change))
    assert len(found) == 1
    assert said in found[0]


def test_fifteen_words_are_not_too_many():
    long = " ".join(["word"] * 15)
    value = changed(lambda v: (v[POS][1].update(value=long), v[POS][0]["options"].__setitem__(0, long)))
    assert problems(value) == ()


def test_all_that_is_wrong_is_said_at_once_and_asked_for():
    value = changed(lambda v: (v[POS][0]["options"].pop(), v[NEG][1].update(value="")))
    found = problems(value)
    assert len(found) == 2
    again = asked_again(found)
    assert all(f"- {problem}\n" in again for problem in found)
    assert "{problems}" not in again


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"id": "7", "conversations-pos": [{"from": "human", "value": "A "red" cup?"}]}', "Expecting ',' delimiter"),
        ('```json\n{"id": "7", "image": ', "there is no object in it"),
        ('{"id": "7", "image": ', "Expecting value"),
        ("I am sorry, I cannot help.", "there is no object in it"),
        ("[1, 2]", "there is no object in it"),
        ('{"id": "7", "id": "8"}', "twice in one object"),
        ('{"id": NaN}', "NaN is no number of JSON"),
        ('{"a":' * 3000 + "}", ""),
    ],
)
def test_a_reply_that_is_no_json(text, said):
    (found,) = problems(text)
    assert found.startswith("it is not JSON: ")
    assert said in found


def test_braces_in_words_around_a_fence_do_not_matter():
    assert find_object('The {thing}:\n```json\n{"a": 1}\n```\n{') == {"a": 1}


def test_older_versions_have_one_conversation_without_options():
    one = {"conversations": turns(FIG_16, options=False)}
    checked = check_reply(json.dumps(one), SAMPLE, RULES["v0"])
    assert (checked.problems, checked.record.positives, len(checked.record.negatives)) == ((), (), 7)
    assert problems(one, "v1") == ("conversations: 7 questions, not 8",)
    two = {POS: turns(FIG_15, options=False), NEG: turns(FIG_16, options=False)}
    assert problems(two, "v2") == ()


@pytest.mark.parametrize("name", VERSIONS)
def test_a_prompt_is_the_samples_json_and_its_figures(name):
    version = version_of(name)
    text = version.text({"id": "7", "image": "ä.jpg"})
    assert text.startswith('Input JSON:\n{"id": "7", "image": "ä.jpg"}STEP-1: Parse and extract information')
    assert text.count("STEP-2: Generate questions") == 1
    assert ("four options based on ques-pos" in text) == (name == "v3")
    assert ("2 character-type questions, 4 semantic-type" in text) == (name == "v1")
    assert ("Generate 7-10 questions." in text) == (name in ("v0", "v2"))
    assert len(version.digest) == 64
    assert len({version_of(other).digest for other in VERSIONS}) == 4


@pytest.mark.parametrize("name", VERSIONS)
def test_the_schema_takes_what_the_rules_take(name):
    jsonschema = pytest.importorskip("jsonschema")
    version = version_of(name)
    value = {"id": "7", "image": "7.jpg"}
    for field, asked in zip(version.rules.fields, (FIG_15, FIG_16), strict=False):
        value[field] = turns([*asked, asked[0]], options=name == "v3")
    jsonschema.validate(value, version.schema())
    value[version.rules.fields[0]] = value[version.rules.fields[0]][:12]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(value, version.schema())
