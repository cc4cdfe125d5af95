"""Pairs that people chose between: what is read, what is refused, and what `mmjudge score` gets."""

import json

import pytest
from mutants import damage_bytes, damage_json, mutants

from judge.errors import UserError
from judge.io.pairs import read_pairs
from judge.io.preferences import read_judgements, write_answers
from judge.io.responses import read_responses


def side(name, model="m", response="words"):
    return {"id": name, "model": model, "response": response}


def row(name="p1", chosen="A", **changes):
    made = {"id": name, "question": "q1", "a": side(f"{name}/x"), "b": side(f"{name}/y", "n"), "chosen": chosen}
    return {**made, **changes}


def lines(path, *rows):
    path.write_text("".join(f"{json.dumps(each)}\n" for each in rows), encoding="utf-8")
    return path


def test_a_pair_as_it_is_written(tmp_path):
    prompt = [{"text": "Draw a lid.", "image": None}, ["image", "lid.png"], ["text", "Then?"]]
    parts = [{"text": "Step 1", "image": "x/1.png"}]
    given = row(source="isgbench", prompt=prompt, annotations=[1, 5.5], a=side("x1", "anole", parts))
    (pair,) = read_pairs(str(lines(tmp_path / "p.jsonl", given))).pairs
    assert (pair.id, pair.question, pair.source, pair.chosen, pair.annotations) == (
        "p1",
        "q1",
        "isgbench",
        "A",
        (1, 5.5),
    )
    assert pair.prompt == (
        {"text": "Draw a lid.", "image": None}, {"text": None, "image": "lid.png"}, {"text": "Then?", "image": None},
    )  # fmt: skip
    assert (pair.a.id, pair.a.system, pair.a.answer.response) == ("x1", "anole", parts)
    assert pair.a.answer.image_root == tmp_path
    assert pair.b.answer.response == "words"


def test_what_may_be_left_out(tmp_path):
    (pair,) = read_pairs(str(lines(tmp_path / "p.jsonl", {"id": "p9", "a": {}, "b": {}, "chosen": "b"}))).pairs
    assert (pair.question, pair.source, pair.prompt, pair.annotations, pair.chosen) == ("p9", None, None, (), "B")
    assert (pair.a.id, pair.b.id, pair.a.system, pair.a.answer) == ("p9/a", "p9/b", "", None)


def test_where_pictures_lie_and_where_pairs_come_from(tmp_path):
    file = lines(tmp_path / "p.jsonl", row())
    given = read_pairs(str(file), tmp_path / "elsewhere")
    assert given.root == tmp_path / "elsewhere"
    assert given.source.startswith("p.jsonl@")
    assert not given.of_mmrb2
    assert read_pairs(str(lines(file, row(source="mmmg")))).of_mmrb2


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([row(chosen="C")], "line 1: field \"chosen\" is 'C'; it must be A or B"),
        ([row(chosen=1)], 'field "chosen" is the number 1; it must be A or B'),
        ([row(chosen=None)], 'field "chosen" is null; it must be A or B'),
        ([{"id": "p", "a": {}, "b": {}}], 'field "chosen" is missing'),
        ([row(), row()], "line 2: the pair 'p1' stands in line 1, too"),
        ([row(), row("p2", a=side("p1/y", "n"), b=side("p1/x"))], "'p2' has the answers of 'p1' in line 1"),
        ([row(b=side("p1/x"))], "both answers of 'p1' are 'p1/x'"),
        ([row(), row("p2", a=side("p1/x", response="other"))], "the answer 'p1/x' has another response than in line 1"),
        ([row(), row("p2", a=side("p1/x", "other"))], "the answer 'p1/x' has another model than in line 1"),
        ([row(), row("p2", question="q2", a=side("p1/x"))], "the answer 'p1/x' has another question than in line 1"),
        ([{"id": "p", "b": {}, "chosen": "A"}], 'field "a" is missing'),
        ([row(b="y")], 'field "b" is text, not an object'),
        ([row(prompt=7)], 'field "prompt" is the number 7'),
        ([row(prompt=[{"words": "x"}])], 'field "prompt" part 0 is not'),
        ([row(prompt=[["text", 3]])], 'field "prompt" part 0 is not'),
        ([row(annotations=["many"])], 'field "annotations" is not a list of numbers'),
        ([row(annotations=[True])], 'field "annotations" is not a list of numbers'),
        ([row(id="")], 'field "id" is empty text'),
        ([], "holds no pairs"),
    ],
)
def test_what_is_refused(tmp_path, rows, problem):
    with pytest.raises(UserError) as error:
        read_pairs(str(lines(tmp_path / "p.jsonl", *rows)))
    assert problem in str(error.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_pairs(str(tmp_path / "none.jsonl"))


def test_answers_are_written_once_as_a_list_that_is_read(tmp_path):
    shared = side("x", "anole", [{"text": "Step", "image": "1.png"}])
    rows = [
        row("p1", prompt="Draw.", a=shared),
        row("p2", prompt="Draw.", b=shared),
    ]
    given = read_pairs(str(lines(tmp_path / "p.jsonl", *rows)))
    file, n, without = write_answers(given.pairs, tmp_path / "out", "PBL")
    assert (n, without) == (3, 0)
    answers = read_responses(file)
    keys = [one.key for one in (given.pairs[0].a, given.pairs[0].b, given.pairs[1].a)]
    assert [answer.id for answer in answers] == [f"PBL-{key}" for key in keys]
    assert answers[0].response == shared["response"]
    assert answers[0].record["question"] == [{"text": "Draw.", "image": None}]
    assert answers[0].record["model"] == "anole"
    # lower-case hex digits: no category is named but the one in front
    assert all(set(key) <= set("0123456789abcdef") for key in keys)


def test_answers_without_question_or_response(tmp_path):
    given = read_pairs(str(lines(tmp_path / "p.jsonl", row())))
    assert write_answers(given.pairs, tmp_path / "out", "SA")[1:] == (2, 2)
    bare = read_pairs(str(lines(tmp_path / "p.jsonl", row(a={"id": "x"}))))
    with pytest.raises(UserError, match="the answer 'x' has no response"):
        write_answers(bare.pairs, tmp_path / "out", "SA")


def test_judgements_in_lines_and_as_published(tmp_path):
    file = lines(
        tmp_path / "j.jsonl",
        {"id": "p1", "judgement": "A"},
        {"id": "p1", "order": "reverse", "judgement": "A"},  # what was shown first, which is b
        {"id": "p2", "order": "forward", "judgement": "tie"},
        {"id": "p2", "order": "reverse", "judgement": "b"},
    )
    wanted = {("p1", "forward"): "A", ("p1", "reverse"): "B", ("p2", "forward"): "tie", ("p2", "reverse"): "A"}
    assert read_judgements(file) == wanted
    published = tmp_path / "j.json"
    said = {order: [{"judgement": word, "metadata": {}}] for order, word in (("forward", "A"), ("reverse", "A"))}
    published.write_text(json.dumps({"p1": said, "p2": {"forward": [{"judgement": None}], "reverse": []}}))
    assert read_judgements(published) == {("p1", "forward"): "A", ("p1", "reverse"): "B"}


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([{"id": "p", "judgement": "C"}], "field \"judgement\" is 'C'; it must be A, B or tie"),
        ([{"id": "p", "judgement": 1}], "it must be A, B or tie"),
        ([{"id": "p", "order": "sideways", "judgement": "A"}], 'field "order" must be forward or reverse'),
        ([{"id": "p", "judgement": "A"}] * 2, "is a second judgement on 'p' in the order forward"),
        ([{"judgement": "A"}], 'field "id" is missing'),
        ([], "holds no judgements"),
    ],
)
def test_judgements_that_are_refused(tmp_path, rows, problem):
    with pytest.raises(UserError) as error:
        read_judgements(lines(tmp_path / "j.jsonl", *rows))
    assert problem in str(error.value)


@pytest.mark.parametrize("content", ["[]", '{"p": {"forward": "A"}}', '{"p": {"forward": ["A"]}}', '{"p'])
def test_published_judgements_that_are_refused(tmp_path, content):
    (tmp_path / "j.json").write_text(content)
    with pytest.raises(UserError):
        read_judgements(tmp_path / "j.json")


def outcome(read, file):
    """ "read", or why not; anything but a UserError ends the test."""
    try:
        read(file)
    except UserError as error:
        return str(error) or "a refusal without words"
    return "read"


PARTS = [{"text": "Draw.", "image": None}, {"text": None, "image": "a.png"}]
RELEASED = {"model_name": "m", "response_content": [["text", "x"], ["image", "y"]]}


@pytest.mark.parametrize(
    ("name", "content", "read"),
    [
        ("p.jsonl", row(source="mmmg", prompt=PARTS, annotations=[1, 5], a=side("x1", "anole", PARTS)), None),
        ("p.json", {"pairs": [{"id": "p", "response_a": RELEASED, "response_b": RELEASED, "chosen": "A"}]}, None),
        ("j.jsonl", {"id": "p", "order": "reverse", "judgement": "A"}, read_judgements),
        ("j.json", {"p": {"forward": [{"judgement": "A"}]}}, read_judgements),
    ],
)
def test_damaged_files_are_refused_or_read(tmp_path, name, content, read):
    def write(file):
        write_answers(read_pairs(str(file)).pairs, tmp_path / "out", "SA")

    good, file, found = json.dumps(content), tmp_path / name, []
    for seed, random in mutants(100):
        text = damage_bytes(random, good.encode()) if seed % 2 else damage_json(random, good).encode()
        file.write_bytes(good.encode() if seed == 0 else text)
        found.append(outcome(read or write, file))
    assert found[0] == "read"
    assert {"read"} < set(found)
