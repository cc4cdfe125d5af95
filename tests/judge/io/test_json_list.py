"""A JSON list read object by object is what `json.loads` reads, wherever blocks end."""

from __future__ import annotations

import json

import pytest

from judge.errors import UserError
from judge.io import json_list
from judge.io.json_list import read_list, read_rows

ROWS = [
    {"id": "a", "text": 'brackets ] } and "quotes"'},
    {},
    {"ä": ["\u00e4\U0001f600", {"b": [1, 2.5, None]}]},
    {"n": -1e5},
]


@pytest.mark.parametrize("block", [1, 2, 3, 7, 1 << 16])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_every_object_wherever_blocks_end(tmp_path, monkeypatch, block, indent, ascii_only):
    monkeypatch.setattr(json_list, "BLOCK", block)
    file = tmp_path / "rows.json"
    file.write_text("\ufeff \n" + json.dumps(ROWS, indent=indent, ensure_ascii=ascii_only) + "\n ", encoding="utf-8")
    found = list(read_list(file))
    assert [row for _, row in found] == ROWS
    assert [position.where for position, _ in found] == ["record 1", "record 2", "record 3", "record 4"]


def test_lines_are_told_from_a_list(tmp_path):
    file = tmp_path / "rows"
    file.write_text("\n".join(map(json.dumps, ROWS)))
    assert [row for _, row in read_rows(file)] == ROWS
    file.write_text(json.dumps(ROWS))
    assert [row for _, row in read_rows(file)] == ROWS


@pytest.mark.parametrize("text", ["[]", " [ \n ] "])
def test_an_empty_list(tmp_path, text):
    (tmp_path / "rows.json").write_text(text)
    assert list(read_list(tmp_path / "rows.json")) == []


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "expected a list of objects"),
        (b'{"a": 1}', "expected a list of objects"),
        (b'[{"a": 1} {"b": 2}]', "record 1 '{' behind it, not a comma"),
        (b'[{"a": 1},', "record 2 is not JSON"),
        (b'[{"a": 1}', "record 1 the file ends behind it"),
        (b'[{"a": 1}, {"b": ', "record 2 is not JSON"),
        (b'[{"a": 1}, 3]', "record 2 is not a JSON object"),
        (b'[{"a": 1}] x', "record 1 there is something behind the list"),
        (b'[{"a": 1, "a": 2}]', "record 1 cannot be read as JSON (the name 'a' twice"),
        (b'[{"a": NaN}]', "NaN is no number"),
        (b'[{"a": "\xff"}]', "is not UTF-8"),
        (b"[" + b'{"a":' * 100_000, "record 1"),
    ],
)
def test_what_is_no_list(tmp_path, data, said):
    file = tmp_path / "rows.json"
    file.write_bytes(data)
    with pytest.raises(UserError) as refused:
        list(read_list(file))
    assert said in str(refused.value)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        list(read_rows(tmp_path))
