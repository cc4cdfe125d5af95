"""Files of answers in three layouts, and files that only look like one.

The lmms-eval rows were written by lmms-eval 0.7.3 (`--model dummy … --log_samples`, with and without `--predict_only`).
"""

from __future__ import annotations

import json
from pathlib import Path

import folders
import pytest

from judge.errors import UserError
from judge.io import jsonl as lines_module
from judge.io.responses import read_responses

PARTS = [{"text": "Step 2: pour.", "image": "out/1.png"}, {"text": None, "image": "out/2.png"}]
SAMPLE = (
    '{"doc_id": 0, "target": "A", "filtered_resps": "A", "token_counts": [null], "doc_hash": "74234e98", '
    '"acc": 1.0, "input": "x1"}\n'
    '{"doc_id": 1, "target": "B", "filtered_resps": "", "token_counts": [null], "doc_hash": "74234e98", '
    '"acc": NaN, "input": "x2"}\n'
)
PREDICTED = '{"doc_id": 3, "target": "A", "filtered_resps": "A", "bypass": [["A"], ["A"]], "input": "x1"}\n'
TO_EVAL = {
    "id": "PBL-1",
    "question": [{"text": "How?", "image": "images/a.png"}],
    "answer": [{"text": "So.", "image": None}],
    "model": "m",
    "gt_answer": [{"text": None, "image": None}],
}


def file_of(folder: Path, content: str | bytes) -> Path:
    path = folder / "answers.jsonl"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def lines(*rows) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_our_layout(tmp_path):
    given = lines(
        {"id": "a", "response": "text"},
        {"id": "b", "index": 7, "response": PARTS},
        {"id": "c", "index": None, "response": None, "model": "ignored"},
        {"id": "d", "response": [{"text": "only text"}, {"image": "only.png", "type": "image"}]},
        {"id": "e", "response": []},
        {"id": "f", "response": [{"type": "text", "content": "A"}, {"type": "image", "content": "a.png"}]},
        {"id": "g", "response": [["text", "A"], ["image", "a.png"]]},
        {"id": "h", "response": float("nan")},
    )
    answers = read_responses(file_of(tmp_path, given))
    assert [(a.id, a.index, a.response) for a in answers] == [
        ("a", None, "text"),
        ("b", 7, PARTS),
        ("c", None, None),
        ("d", None, [{"text": "only text", "image": None}, {"text": None, "image": "only.png"}]),
        ("e", None, []),
        ("f", None, [{"type": "text", "content": "A"}, {"type": "image", "content": "a.png"}]),
        ("g", None, [["text", "A"], ["image", "a.png"]]),
        ("h", None, None),
    ]
    assert {a.image_root for a in answers} == {tmp_path}
    assert answers[2].where == f"{tmp_path}/answers.jsonl: line 3"


def test_lmms_eval_samples(tmp_path):
    answers = read_responses(file_of(tmp_path, SAMPLE + PREDICTED))
    assert [(a.id, a.index, a.response) for a in answers] == [(None, 0, "A"), (None, 1, ""), (None, 3, "A")]


def test_lmms_eval_keeps_the_json_of_image_models_as_text(tmp_path):
    said = json.dumps({"text": "Here <image>", "images": ["logs/a.png"]})
    # `resps` stands beside where a filter changed the text; what was scored is `filtered_resps`
    rows = lines({"doc_id": 0, "resps": ["raw"], "filtered_resps": [said]}, {"doc_id": 1, "resps": [["raw"]]})
    (tmp_path / "run").mkdir()
    answers = read_responses(file_of(tmp_path, rows), tmp_path / "run")
    assert [a.response for a in answers] == [said, "raw"]
    assert answers[0].image_root == tmp_path / "run"


def test_official_layout(tmp_path):
    text = {**TO_EVAL, "id": "MSR-2", "answer": "21.60", "gt_answer": "21.6"}
    bare = {name: TO_EVAL[name] for name in ("question",)} | {"id": "SA-3", "answer": None}
    answers = read_responses(file_of(tmp_path, json.dumps([TO_EVAL, text, bare], indent=1)))
    assert [(a.id, a.index, a.response) for a in answers] == [
        ("PBL-1", None, TO_EVAL["answer"]),
        ("MSR-2", None, "21.60"),
        ("SA-3", None, None),
    ]
    assert answers[0].record == TO_EVAL
    assert answers[2].where.endswith("answers.jsonl: item 2")


def test_the_recorded_official_file():
    file = folders.GOLDEN_REQUESTS / "data.json"
    answers = read_responses(file)
    assert len(answers) == 16
    assert all(answer.record["id"] == answer.id for answer in answers)


@pytest.mark.parametrize("prefix", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\n\n  \n"])
def test_marks_line_ends_and_blank_lines(tmp_path, prefix, end):
    content = prefix + end.join([b'{"id": "a", "response": "1"}', b'{"id": "b", "response": "2"}'])
    assert [a.response for a in read_responses(file_of(tmp_path, content))] == ["1", "2"]
    assert len(read_responses(file_of(tmp_path, prefix + json.dumps([TO_EVAL]).encode() + end))) == 1


def test_any_text_is_an_answer(tmp_path):
    said = [
        "### Score\n6",
        "<IMG_CONTEXT><|end|>",
        "{question}",
        "x" * 200_000,
        "\ud800\u2028\x00",
        '{"text": 1}',
        "NaN",
    ]
    rows = lines(*({"id": str(n), "response": text} for n, text in enumerate(said)))
    assert [a.response for a in read_responses(file_of(tmp_path, rows))] == said


OURS = '{"id": "a", "response": "x"}\n'

BROKEN = [
    # content, what the message names
    ("", "holds no answers"),
    ("\n \n", "holds no answers"),
    ("[]", "holds no answers"),
    ('{"id": "a", "response": "x', "line 1 column 25 is not JSON"),
    (OURS + '{"id": "b", "resp', "line 2 column 13 is not JSON"),
    (OURS + '{"id": "b"', r"line 2 column 11 is not JSON .*; it ends in the middle"),
    (OURS + "[1]", "line 2 is not a JSON object"),
    ('{\n  "id": "a"\n}', "line 1 column 1 is not JSON .*it ends in the middle"),
    (OURS + '{"id": "b"}', 'line 2: field "response" is missing'),
    (OURS + '{"response": "x"}', 'line 2: field "id" is missing'),
    ('{"id": 4, "response": "x"}', 'line 1: field "id" is the number 4, not text'),
    ('{"id": "", "response": "x"}', 'line 1: field "id" is empty text'),
    ('{"id": NaN, "response": "x"}', 'line 1: field "id" is a number, not text'),
    ('{"id": "a", "response": 4}', 'line 1: field "response" is the number 4'),
    ('{"id": "a", "response": {"text": "x"}}', 'line 1: field "response" is an object'),
    ('{"id": "a", "response": ["x"]}', 'line 1: field "response" part 0'),
    ('{"id": "a", "response": [{"text": "x"}, {"url": "y"}]}', 'line 1: field "response" part 1'),
    ('{"id": "a", "response": [{"text": 3}]}', 'part 0: "text" is the number 3'),
    ('{"id": "a", "response": [{"image": ["a.png"]}]}', 'part 0: "image" is a list'),
    ('{"id": "a", "index": -1, "response": "x"}', 'field "index" is the number -1'),
    ('{"id": "a", "index": true, "response": "x"}', 'field "index" is true or false'),
    ('{"id": "a", "index": 1.5, "response": "x"}', 'field "index" is a number'),
    ('{"id": "a", "response": "x", "response": "y"}', "line 1 .*the name 'response' twice"),
    ('{"a": 1, "b": 2}', "line 1 is neither a response nor an lmms-eval sample; it has the fields a, b"),
    ("{}", "line 1 .*it has the fields none"),
    (json.dumps(TO_EVAL), "line 1 is an official to-eval item, but the file is not a JSON list"),
    ('{"id": "a", "response": ' + "1" * 5000 + "}", "line 1 cannot be read as JSON"),
    ("{" * 100_000, "line 1"),
    ('{"id": "a", "response": ' + "[" * 100_000 + "}", "line 1"),
    (b'{"id": "a", "response": "\xff"}\n', r"line 1 is not UTF-8 \(byte 25\)"),
    (OURS.encode("utf-16"), "line 1 is not UTF-8"),
    (SAMPLE + '{"doc_id": 2}', 'line 3: field "filtered_resps" is missing'),
    ('{"doc_id": "0", "filtered_resps": "A"}', 'field "doc_id" is text'),
    ('{"doc_id": 0, "filtered_resps": ["A", "B"]}', 'field "filtered_resps" holds 2 responses'),
    ('{"doc_id": 0, "filtered_resps": 3}', 'field "filtered_resps" is the number 3'),
    (SAMPLE + OURS, 'line 3: field "doc_id" is missing'),
    (OURS + PREDICTED, 'line 2: field "id" is missing'),
    (json.dumps([TO_EVAL])[:-9], "line 1 column .* is not JSON .*it ends in the middle"),
    (json.dumps([TO_EVAL], indent=1)[:-12], "line 21 column 2 is not JSON .*it ends in the middle"),
    (json.dumps([TO_EVAL, 3]), "item 1 is not a JSON object"),
    (json.dumps([{**TO_EVAL, "id": None}]), 'item 0: field "id" is null'),
    (json.dumps([{**TO_EVAL, "question": "How?"}]), 'item 0: field "question" is text, not a list of parts'),
    (json.dumps([{**TO_EVAL, "answer": 5}]), 'item 0: field "answer" is the number 5'),
    (json.dumps([{**TO_EVAL, "gt_answer": 5}]), 'item 0: field "gt_answer" is the number 5'),
    (json.dumps([{**TO_EVAL, "gt_answer": [5]}]), 'item 0: field "gt_answer" part 0'),
    (json.dumps([{"id": "a", "response": "x"}]), 'item 0: field "question" is missing'),
]


@pytest.mark.parametrize(("content", "message"), BROKEN, ids=range(len(BROKEN)))
def test_a_broken_file_is_named_with_its_line(tmp_path, content, message):
    path = file_of(tmp_path, content)
    with pytest.raises(UserError, match=message) as caught:
        read_responses(path)
    assert str(caught.value).startswith(str(path))
    assert len(str(caught.value)) < 1000  # an error is read, not scrolled


def test_a_line_over_the_limit_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(lines_module, "MAX_LINE", 2**20)
    content = OURS + '{"id": "b", "response": "' + "x" * 2**20 + '"}\n'
    with pytest.raises(UserError, match="line 2 is longer than 1 MiB"):
        read_responses(file_of(tmp_path, content))


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(UserError, match=r"none\.jsonl: cannot be read"):
        read_responses(tmp_path / "none.jsonl")
    with pytest.raises(UserError, match="cannot be read"):
        read_responses(tmp_path)
    with pytest.raises(UserError, match="the image root is not a folder"):
        read_responses(file_of(tmp_path, OURS), tmp_path / "nowhere")
