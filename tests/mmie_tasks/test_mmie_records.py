"""data.json and the to-eval layout: what is read, what is refused and by which words."""

import dataclasses
import json

import pytest

from judge.errors import UserError
from mmie_tasks import records
from mmie_tasks.records import Part, Record

# The one real item whose shape is public (Lillianwei-h/MMIE issue 8), texts shortened.
ITEM = {
    "id": "PBL-2896694",
    "catagory": "Project-based learning",
    "field": "Education",
    "conversations": [
        {
            "from": "human",
            "content": [
                {"text": "How to double space in Word", "image": None},
                {"text": "Step 1: Open it.", "image": "./images/step-1.jpg"},
            ],
        },
        {"from": "gpt", "content": [{"text": "Step 2: Click.", "image": "./images/step-2.jpg"}]},
    ],
}


def item(**changes):
    return {**ITEM, **changes}


def without(name):
    return {key: value for key, value in ITEM.items() if key != name}


def write(tmp_path, rows):
    path = tmp_path / "data.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def test_an_item_becomes_a_record(tmp_path):
    (record,) = records.read_records(write(tmp_path, [ITEM]))
    assert record == Record(
        id="PBL-2896694",
        category="PBL",
        field="Education",
        question=(Part("How to double space in Word", None), Part("Step 1: Open it.", "./images/step-1.jpg")),
        answer=(Part("Step 2: Click.", "./images/step-2.jpg"),),
        catagory="Project-based learning",
    )
    assert record.images == ("./images/step-1.jpg",)


@pytest.mark.parametrize(
    ("id_", "category"),
    [
        ("SA-1", "SA"),
        ("PBL-2896694", "PBL"),
        ("MSR-7", "MSR"),
        ("MSR-SA-7", "SA"),  # the official main.py asks for "SA" first
        ("10008370", None),
    ],
)
def test_category_of_an_id(id_, category):
    assert records.category_of_id(id_) == category


@pytest.mark.parametrize(
    ("label", "category"),
    [
        ("Situational analysis", "SA"),
        ("situational_analysis", "SA"),
        ("Project-based learning", "PBL"),
        ("PBL", "PBL"),
        ("Multi-step reasoning", "MSR"),
        ("msr", "MSR"),
        ("wikihow", None),
        ("", None),
    ],
)
def test_category_of_a_label(label, category):
    assert records.category_of_label(label) == category


def test_the_id_decides_and_a_disagreeing_label_is_told(tmp_path):
    rows = [item(catagory="Multi-step reasoning"), item(id="SA-1", catagory="vist"), item(id="77")]
    found = records.read_records(write(tmp_path, rows))
    assert [record.category for record in found] == ["PBL", "SA", "PBL"]  # 77 names none: its label decides
    assert records.disagreements(found) == ["PBL-2896694"]


@pytest.mark.parametrize(
    ("question", "answer", "expected"),
    [
        ("Which?\nA. red\nB. blue", "red", True),
        ("Which?\n A) red\n B) blue", "red", True),
        ("Which? (A) red (B) blue", "red", True),
        ("Which one is it?", "C", True),
        ("Which one is it?", "(D).", True),
        ("Which one is it?", "21.60", False),
        ("Vitamin A. Then B. follows.", "21.60", False),
        ("A. only one label", "red", False),
        ("B. comes first\nA. second", "red", False),
    ],
)
def test_multiple_choice_is_what_the_record_shows(question, answer, expected):
    record = Record("MSR-1", "MSR", "Mathematics", (Part(question, None),), (Part(answer, None),))
    assert record.multiple_choice is expected


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ({"a": 1}, ["one JSON list"]),
        (["x"], ["at index 0", "expected an object"]),
        ([without("id")], ["at index 0", 'field "id"']),
        ([item(id=7)], ["at index 0", 'field "id"']),
        ([{**without("catagory"), "id": "77"}], ["77", 'field "catagory"', "neither the id nor None"]),
        ([without("conversations")], ["PBL-2896694", 'field "conversations"']),
        (
            [item(conversations=[{"from": "gpt", "content": []}])],
            ["PBL-2896694", "conversations.human", "no such turn"],
        ),
        ([item(conversations=[{"from": "human", "content": "text"}])], ["PBL-2896694", "conversations.human"]),
        (
            [item(conversations=[{"from": "human", "content": [{"text": 5, "image": None}]}])],
            ["PBL-2896694", "conversations.human[0]"],
        ),
        ([item(id="77", catagory="wikihow")], ["77", 'field "catagory"', "wikihow"]),
        ([ITEM, item(id="SA-1"), ITEM], ["PBL-2896694", "duplicate id, at index 0 and 2"]),
    ],
)
def test_bad_records_are_named(tmp_path, rows, words):
    path = write(tmp_path, rows)
    with pytest.raises(UserError) as error:
        records.read_records(path)
    for word in [str(path), *words, "→"]:
        assert word in str(error.value)


@pytest.mark.parametrize("absent", ["no key", None, 7])
def test_a_missing_label_stops_nothing_and_is_counted(tmp_path, absent):
    bare = without("field") if absent == "no key" else item(field=absent)
    rows = [ITEM, {**bare, "id": "SA-1"}, {**without("catagory"), "id": "MSR-1"}]
    found = records.read_records(write(tmp_path, rows))
    assert [(r.id, r.category, r.field, r.catagory) for r in found[1:]] == [
        ("SA-1", "SA", None, "Project-based learning"),
        ("MSR-1", "MSR", "Education", None),
    ]
    assert records.unlabelled(found) == {"catagory": ["MSR-1"], "field": ["SA-1"]}
    assert records.unlabelled(found[:1]) == {}


@pytest.mark.parametrize("text", ['[{"id": "PBL-1", "catag', "", "[" * 100_000, "\x80"])
def test_a_file_that_is_no_json_is_named(tmp_path, text):
    path = tmp_path / "data.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match="not valid JSON") as error:
        records.read_records(path)
    assert str(path) in str(error.value)


def made_up(count):
    return [Record(f"SA-{number}", "SA", None, (Part("Q", None),), ()) for number in range(count)]


def test_as_many_questions_are_not_the_edition():
    # 5005 + 11482 + 3616 = 20103
    found = made_up(20103)
    unknown, note = records.edition_of(found, from_hub=False)
    assert unknown == "unknown (size matches full)"
    assert note == f"size matches full, content unknown: SHA-256 of ids and texts {records.content(found)}"
    assert records.edition_of(found, from_hub=True) == ("full", note)
    assert records.edition_of(found[:12], from_hub=True) == ("unknown (12)", None)


def test_a_recorded_edition_is_known_wherever_it_lies(monkeypatch):
    found = made_up(20103)
    monkeypatch.setattr(records, "CONTENTS", {"full": records.content(found)})
    assert records.edition_of(found[::-1], from_hub=False) == ("full", None)  # the order is nobody's concern
    changed = [*found[:-1], dataclasses.replace(found[-1], answer=(Part("A", None),))]
    assert records.edition_of(changed, from_hub=True) == (
        "unknown (size matches full)",
        "size matches full, content differs",
    )


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"question": []}, ['field "id"']),
        ({"id": "77", "question": [], "gt_answer": []}, ["record 77", "names no category"]),
        ({"id": "SA-1", "gt_answer": []}, ["record SA-1", 'field "question"']),
        ({"id": "SA-1", "question": [], "gt_answer": "x"}, ["record SA-1", 'field "gt_answer"']),
    ],
)
def test_bad_to_eval_rows_are_named(row, words):
    with pytest.raises(UserError) as error:
        records.from_to_eval(row, "to_eval.json")
    for word in ["to_eval.json", *words]:
        assert word in str(error.value)
