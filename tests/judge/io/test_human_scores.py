"""The human-scored JSONL: what is read, and what is refused with line and field."""

import json

import pytest

from judge.errors import UserError
from judge.io.human_scores import HumanScore, read_human_scores, read_standing_scores

LINE = {"id": "PBL-1", "model": "m", "annotator": "a", "score": 4}


def write(tmp_path, *lines):
    file = tmp_path / "humans.jsonl"
    file.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return file


def test_a_full_line(tmp_path):
    response = [{"text": "Step 2: pour.", "image": "m/1.png"}]
    criteria = {"Text quality": 1, "Emotional impact": -1, "Image quality": 0.5}
    line = {**LINE, "response": response, "criteria": criteria, "feedback": "The lid is closed."}
    (score,) = read_human_scores(write(tmp_path, line))
    assert (score.id, score.model, score.annotator, score.score) == ("PBL-1", "m", "a", 4)
    assert score.criteria == criteria
    assert score.feedback == "The lid is closed."
    assert score.answer.id == "PBL-1"
    assert score.answer.response == response
    assert score.answer.image_root == tmp_path
    assert score.where == f"{tmp_path / 'humans.jsonl'}: line 1"


def test_what_may_be_left_out(tmp_path):
    (score,) = read_human_scores(write(tmp_path, {"id": "SA-1", "score": 2.5}))
    assert score == HumanScore("SA-1", "", "", 2.5, where=score.where)
    (score,) = read_human_scores(write(tmp_path, {**LINE, "criteria": None, "feedback": "", "model": None}))
    assert (score.criteria, score.feedback, score.model) == ({}, None, "")


@pytest.mark.parametrize(("response", "kept"), [("text", "text"), (None, None)])
def test_a_response_is_text_or_nothing_too(tmp_path, response, kept):
    (score,) = read_human_scores(write(tmp_path, {**LINE, "response": response}))
    assert score.answer.response == kept  # an answer that gave nothing is not an answer left out


def test_images_lie_below_the_root_that_is_given(tmp_path):
    (tmp_path / "pictures").mkdir()
    (score,) = read_human_scores(write(tmp_path, {**LINE, "response": "x"}), image_root=tmp_path / "pictures")
    assert score.answer.image_root == tmp_path / "pictures"


def test_several_annotators_models_and_questions_in_order(tmp_path):
    lines = [{**LINE, **change} for change in ({}, {"annotator": "b"}, {"model": "n"}, {"id": "SA-1"})]
    assert [score.who for score in read_human_scores(write(tmp_path, *lines))] == [
        ("PBL-1", "m", "a"),
        ("PBL-1", "m", "b"),
        ("PBL-1", "n", "a"),
        ("SA-1", "m", "a"),
    ]


def test_blank_lines_and_a_byte_order_mark_do_not_count(tmp_path):
    file = tmp_path / "humans.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps(LINE).encode() + b"\r\n\n")
    assert [score.score for score in read_human_scores(file)] == [4]


def test_a_score_can_be_taken_back(tmp_path):
    undo = {**LINE, "undo": True}
    undo.pop("score")
    file = write(tmp_path, LINE, {**LINE, "annotator": "b", "score": 1}, undo, {**LINE, "score": 5})
    assert [(score.annotator, score.score) for score in read_human_scores(file)] == [("b", 1), ("a", 5)]
    assert read_standing_scores(write(tmp_path, LINE, undo)) == {}
    with pytest.raises(UserError, match="holds no scores"):
        read_human_scores(write(tmp_path, LINE, undo))
    # what was never scored can be taken back: an append that was cut off leaves that behind
    assert [score.score for score in read_human_scores(write(tmp_path, undo, LINE))] == [4]


@pytest.mark.parametrize("score", [-0.1, 6.5, 7, -1])
def test_scores_outside_0_to_6(tmp_path, score):
    with pytest.raises(UserError, match=rf'line 2: field "score" is {score:g}, outside 0 to 6'):
        read_human_scores(write(tmp_path, LINE, {**LINE, "id": "PBL-2", "score": score}))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"score": "4"}, 'field "score" is not a number'),
        ({"score": True}, 'field "score" is not a number'),
        ({"score": None}, 'field "score" is not a number'),
        ({"id": 7}, 'field "id"'),
        ({"id": ""}, 'field "id"'),
        ({"model": 3}, 'field "model"'),
        ({"annotator": ["a"]}, 'field "annotator"'),
        ({"criteria": [1, 0]}, 'field "criteria" is not an object'),
        ({"criteria": {"Text quality": "good"}}, 'field "criteria: Text quality" is not a number'),
        ({"feedback": 1}, 'field "feedback" is not text'),
        ({"response": 4}, 'field "response"'),
        ({"response": [{"picture": "a.png"}]}, 'field "response" part 0'),
    ],
)
def test_errors_name_line_and_field(tmp_path, change, problem):
    with pytest.raises(UserError) as caught:
        read_human_scores(write(tmp_path, LINE, {**LINE, "annotator": "b", **change}))
    assert f"line 2: {problem}" in str(caught.value)


def test_not_a_number_is_none(tmp_path):
    with pytest.raises(UserError, match="is not a number"):
        read_human_scores(write(tmp_path, '{"id": "PBL-1", "score": NaN}'))


def test_one_annotator_scores_an_answer_once(tmp_path):
    with pytest.raises(UserError, match="line 3 'a' scored this answer before, in line 1"):
        read_human_scores(write(tmp_path, LINE, {**LINE, "id": "PBL-2"}, {**LINE, "score": 5}))


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_an_empty_file(tmp_path, content):
    with pytest.raises(UserError, match="holds no scores"):
        read_human_scores(write(tmp_path, content))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_human_scores(tmp_path / "nothing.jsonl")
