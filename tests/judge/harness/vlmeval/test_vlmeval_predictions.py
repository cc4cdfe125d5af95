"""What VLMEvalKit's own writer makes of awkward answers, read back by our reader in each of its formats."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from surroundings import ABSENT

from judge.errors import UserError
from judge.harness.vlmeval.predictions import CELL_LIMIT, read_predictions

# not imported here: that takes ten seconds of every process that collects tests
pytestmark = pytest.mark.skipif("vlmeval" in ABSENT, reason="ms-vlmeval is not installed")

# text → what a file can still hold of it: the text itself, or None where the writer leaves the cell empty
SURVIVORS = [
    "B",
    "None",
    "NA",
    "nan",
    "=1+1",
    "line one\nline two",
    "a\rb",
    "a\x00b\x1fc",
    "literal _x0041_ text",
    "mailto:someone",
    "internal:Sheet1!A1",
    "http://short.example",
    " lead and trail ",
    '"quoted", with comma\tand tab',
    "😀 Ωmega 中文",
    '[{"text": "=1+1", "image": null}]',
    "3.0",
    "007",
    "TRUE",
]


def dump(folder: Path, suffix: str, texts: list[str]) -> Path:
    import pandas
    from vlmeval.smp import dump as vlmeval_dump

    file = folder / f"M_MMVU.{suffix}"
    vlmeval_dump(pandas.DataFrame({"index": range(len(texts)), "prediction": texts}), str(file))
    assert file.is_file()
    return file


@pytest.mark.parametrize("suffix", ["xlsx", "tsv", "json"])
def test_awkward_answers_come_back_as_they_were(tmp_path: Path, suffix: str) -> None:
    # the csv module writes NUL from Python 3.11 on; before, VLMEvalKit falls back to a pickle
    without = "\x00" if suffix == "tsv" and sys.version_info < (3, 11) else None
    texts = [text for text in SURVIVORS if without is None or without not in text]
    rows = read_predictions(dump(tmp_path, suffix, texts))
    assert [row.text for row in rows] == texts
    assert [row.index for row in rows] == list(range(len(texts)))
    assert not any(row.damage for row in rows)


@pytest.mark.parametrize(("suffix", "empty"), [("xlsx", ""), ("tsv", ""), ("json", "")])
def test_an_empty_answer_stays_empty(tmp_path: Path, suffix: str, empty: str) -> None:
    (row,) = read_predictions(dump(tmp_path, suffix, [""]))
    assert row.text == empty


def test_a_text_that_the_writer_takes_for_a_link_to_a_file_is_damaged(tmp_path: Path) -> None:
    (row,) = read_predictions(dump(tmp_path, "xlsx", ["external:c:/file"]))
    assert row.damage is not None


@pytest.mark.parametrize("suffix", ["xlsx", "tsv", "json"])
def test_a_long_answer_is_whole_or_said_to_be_cut(tmp_path: Path, suffix: str) -> None:
    text = "long " * 8_000  # 40,000 characters; an xlsx cell ends at 32,767
    (row,) = read_predictions(dump(tmp_path, suffix, [text]))
    if suffix == "xlsx":
        assert row.text == text[:CELL_LIMIT]
        assert row.damage is not None
        assert str(CELL_LIMIT) in row.damage
    else:
        assert row.text == text
        assert row.damage is None


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.xlsx", b"no zip", "cannot be read"),
        ("a.json", b'[{"index": 0, "prediction": "A"', "cannot be read"),
        ("a.json", b'[{"index": 0}]', 'field "prediction": no such column'),
        ("a.json", b'[{"index": "x", "prediction": "A"}]', "is no row number"),
        ("a.json", b'[{"index": 1, "prediction": "A"}, {"index": 1, "prediction": "B"}]', "record 1: answered more"),
        ("a.tsv", b"index\tanswer\n0\tA\n", 'field "prediction": no such column'),
        ("a.pkl", b"\x80\x04.", "a pickle is code"),
        ("a.txt", b"", "not a prediction file"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    pytest.importorskip("pandas", reason="the vlmeval extra is not installed")
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_predictions(file)
    assert problem in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_json_of_columns_is_read_too(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(json.dumps({"index": [3, 1], "prediction": ["A", None]}))
    assert [(row.index, row.text) for row in read_predictions(file)] == [(3, "A"), (1, None)]
