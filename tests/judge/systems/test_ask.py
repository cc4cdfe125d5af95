"""The output folder: what is asked, what is kept, and what a run that was killed goes on with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scripted import Scripted, ScriptedSettings

from judge.core.benchmark import find
from judge.core.request import Text
from judge.errors import UserError
from judge.io.responses import drawings, read_responses
from judge.results.run_info import describe_answers, name_of_model
from judge.systems import Drawing, Failed, Reply
from judge.systems.ask import Asked, AskOptions, ask_questions, chosen
from mmie_tasks.demo import demo_dir

BENCHMARK = find("mmie")
DATASET = BENCHMARK.load(demo_dir(), images=True)


def ask(out: Path, limit: int | None = 6, *, retry: bool = False, said: list[str] | None = None, **keys: Any) -> Asked:
    settings = ScriptedSettings(**{"kind": "scripted", "name": "Scripted", "log": str(out.parent / "log"), **keys})
    options = AskOptions(retry_failed=retry, say=(said if said is not None else []).append)
    return ask_questions(settings, BENCHMARK, DATASET, out, chosen(DATASET, limit), options)


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "responses.jsonl").read_text().splitlines()]


def asked_of(out: Path) -> list[int]:
    """Positions in the order in which the system was asked, over all runs."""
    return [int(line) for line in (out.parent / "log").read_text().splitlines()]


def by_index(rows: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    return {row["index"]: row for row in rows}


def test_answers_are_written_as_they_come(tmp_path):
    out = tmp_path / "a"
    found = ask(out, 4, fail=(1,), empty=(3,))
    assert found.new == 4
    assert [line["index"] for line in found.lines] == [0, 1, 2, 3]
    rows = lines(out)
    assert [row["index"] for row in rows] == [3, 2, 1, 0]
    assert [row["id"] for row in rows] == [DATASET.records[i].id for i in (3, 2, 1, 0)]
    picture = rows[1]["response"][0]["image"]
    assert rows[1]["response"] == [
        {
            "text": "Step 2",
            "image": picture,
            "prompt": "a colour",
            "seed": rows[1]["response"][0]["seed"],
            "seconds": 0.25,
        },
        {"text": "Done.", "image": None},
    ]
    assert (out / picture).is_file()
    assert picture.startswith("pictures/")
    assert rows[0] == {
        "id": rows[0]["id"],
        "index": 3,
        "response": "",
        "failed": {"reason": "empty_answer", "by": "writer", "note": "blocked by a filter"},
    }
    assert (rows[2]["response"], rows[2]["failed"]["by"]) == (None, "painter")
    assert found.to_lines() == [
        "4 answers, 4 of them new; 2 with pictures (2 in all)",
        "  1 failed: painter, call_failed: 503: told to fail",
        "  1 failed: writer, empty_answer: blocked by a filter",
    ]
    about = json.loads((out / "system.json").read_text())
    assert (about["name"], about["benchmark"]) == ("Scripted", "mmie")
    assert about["system"] == {"kind": "scripted", "words": "Step"}
    assert [sorted(run) for run in about["runs"]] == [["command", "date", "versions"]]


def test_answers_are_read_with_how_they_were_drawn(tmp_path):
    ask(tmp_path / "a", 2, fail=(1,))
    failed, drawn = read_responses(tmp_path / "a" / "responses.jsonl")
    assert failed.failed == {"reason": "call_failed", "by": "painter", "note": "503: told to fail"}
    name = drawn.response[0]["image"]
    assert drawings(drawn.response) == {
        name: {"prompt": "a colour", "seed": drawn.response[0]["seed"], "seconds": 0.25}
    }
    assert drawings(json.dumps(drawn.response)) == drawings(drawn.response)
    assert name_of_model([failed, drawn], tmp_path / "a" / "responses.jsonl") == "Scripted"


NOTHING_DRAWN = [
    *(None, "text", '[{"text": ', "[" * 5000, [], [3], ["text"], [{"image": "a"}]),
    [{"image": 3, "prompt": "p"}],
    [{"image": "a", "prompt": 3, "seed": True}],
]


@pytest.mark.parametrize("response", NOTHING_DRAWN)
def test_what_says_nothing_about_drawing(response):
    assert drawings(response) == {}


def test_a_picture_drawn_again_is_the_same_answer(tmp_path):
    ask(tmp_path / "a", 1)
    file = tmp_path / "a" / "responses.jsonl"
    before = describe_answers(read_responses(file))
    file.write_text(file.read_text().replace("0.25", "7.5"))
    assert describe_answers(read_responses(file)) == before
    file.write_text(file.read_text().replace("Step", "Stop"))
    assert describe_answers(read_responses(file)) != before


@pytest.mark.parametrize("stops", [[0], [1, 2], [3, 0, 1]])
def test_a_run_that_ends_early_goes_on(tmp_path, stops):
    whole, out = tmp_path / "w" / "a", tmp_path / "k" / "a"
    for folder in (whole, out):
        folder.parent.mkdir()
    ask(whole, fail=(2,))
    for stop in stops:
        with pytest.raises(KeyboardInterrupt):
            ask(out, fail=(2,), stop=stop)
    found = ask(out, fail=(2,))
    assert found.new == 6 - sum(stops)
    assert sorted(asked_of(out)) == [0, 1, 2, 3, 4, 5]
    assert by_index(lines(out)) == by_index(lines(whole))
    assert len(json.loads((out / "system.json").read_text())["runs"]) == len(stops) + 1
    before = (out / "responses.jsonl").read_bytes()
    assert ask(out, fail=(2,)).new == 0
    assert (out / "responses.jsonl").read_bytes() == before
    assert len(json.loads((out / "system.json").read_text())["runs"]) == len(stops) + 1


def test_files_that_a_killed_run_had_begun_go(tmp_path):
    out = tmp_path / "a"
    ask(out, 4)
    before = sorted(path.relative_to(out) for path in out.rglob("*"))
    for name in ("pictures/.0a1b.png.0a1b2c3d.unfinished", ".system.json.0a1b2c3d.unfinished"):
        (out / name).touch()
    ask(out, 4)
    assert sorted(path.relative_to(out) for path in out.rglob("*")) == before


def test_a_line_that_was_cut_off_is_asked_again(tmp_path):
    out = tmp_path / "a"
    ask(out)
    whole = lines(out)
    file = out / "responses.jsonl"
    file.write_bytes(file.read_bytes()[:-30])
    assert ask(out).new == 1
    assert by_index(lines(out)) == by_index(whole)


def test_more_questions_are_asked_later_and_fewer_change_nothing(tmp_path):
    out = tmp_path / "a"
    ask(out, 2)
    assert ask(out, 5).new == 3
    assert [line["index"] for line in ask(out, 3).lines] == [0, 1, 2]
    assert len(lines(out)) == 5
    assert ask(out, None).new == len(DATASET.records) - 5


def test_failed_calls_are_asked_again_when_told(tmp_path):
    out = tmp_path / "a"
    ask(out, fail=(1, 4), empty=(3,))
    assert ask(out).new == 0
    found = ask(out, retry=True, fail=(4,))
    assert (found.new, found.failed_calls) == (2, 1)
    rows = by_index(lines(out))
    assert rows[1]["response"] == [{"text": "Step 1", "image": None}]
    assert rows[4]["response"] is None
    assert rows[3]["response"] == ""  # the model failed: it is not asked until it succeeds


def test_lost_pictures_are_drawn_again(tmp_path):
    out = tmp_path / "a"
    ask(out)
    whole = by_index(lines(out))
    lost = [out / whole[index]["response"][0]["image"] for index in (0, 4)]
    bytes_before = [path.read_bytes() for path in lost]
    for path in lost:
        path.unlink()
    said: list[str] = []
    assert ask(out, said=said).new == 2
    assert said == [f"2 answers lost pictures and are asked again: {whole[0]['id']}, {whole[4]['id']}"]
    assert by_index(lines(out)) == whole
    assert [path.read_bytes() for path in lost] == bytes_before


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_another_systems_folder_is_refused(tmp_path):
    out = tmp_path / "a"
    ask(out)
    before = tree(out)
    with pytest.raises(UserError, match=r'holds another system\'s answers: words "Step", not "Stop"'):
        ask(out, words="Stop")
    other = find("mmvu")
    from mmvu_tasks.demo import demo_dir as mmvu_demo

    settings = ScriptedSettings(kind="scripted", name="Scripted")
    with pytest.raises(UserError, match='holds answers to other questions: benchmark "mmie", not "mmvu"'):
        ask_questions(settings, other, other.load(mmvu_demo(), images=True), out, [0])
    assert tree(out) == before


@pytest.mark.parametrize("content", ["[]", "{}", "{", '{"system": 3}', "\udcff"])
def test_a_system_json_of_others_is_refused(tmp_path, content):
    out = tmp_path / "a"
    out.mkdir()
    (out / "system.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(UserError, match=r"system\.json: (is not what mmjudge writes|cannot be read)"):
        ask(out)
    assert [path.name for path in out.iterdir()] == ["system.json"]


def test_answers_of_others_are_refused(tmp_path):
    out = tmp_path / "a"
    out.mkdir()
    (out / "responses.jsonl").write_text('{"id": "PBL-1", "response": "Hi"}\n')
    with pytest.raises(UserError, match=r"holds answers, and no system\.json says whose"):
        ask(out)
    assert [path.name for path in out.iterdir()] == ["responses.jsonl"]


def test_a_run_that_was_killed_before_its_first_line_goes_on(tmp_path):
    out = tmp_path / "a"
    out.mkdir()
    (out / "responses.jsonl").write_text("")
    assert ask(out, 2).new == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.splitlines()[0] + "\n" + text, "answers question 1 again"),
        (lambda text: text.replace('"index": 1', '"index": 0', 1), 'line 1: field "id" is .*, and question 0 is'),
        (lambda text: text.replace('"index": 1, ', "", 1), 'line 1: field "index" is missing'),
        (lambda text: text.replace('"index": 1', '"index": "1"', 1), 'field "index" is text'),
        (lambda text: "[]\n" + text, "line 1 is not a JSON object"),
    ],
)
def test_a_damaged_file_of_answers_is_refused(tmp_path, change, message):
    out = tmp_path / "a"
    ask(out, 2)
    file = out / "responses.jsonl"
    file.write_text(change(file.read_text()))
    before = tree(out)
    with pytest.raises(UserError, match=message):
        ask(out)
    assert tree(out) == before
    with pytest.raises(UserError, match=message):  # the lock was let go
        ask(out)


def test_two_processes_do_not_share_a_folder(tmp_path, monkeypatch):
    out = tmp_path / "a"

    def answer(self, questions):
        with pytest.raises(UserError, match="another process is writing here"):
            ask(out)
        yield from ()

    monkeypatch.setattr(Scripted, "answer", answer)
    found = ask(out, 2)
    assert [line["failed"]["reason"] for line in found.lines] == ["no_response", "no_response"]


@pytest.mark.parametrize("twice", [[0, 0], [0, 1, 5]])
def test_a_system_that_answers_twice_or_unasked_is_a_fault(tmp_path, monkeypatch, twice):
    questions = BENCHMARK.questions(DATASET, twice)
    monkeypatch.setattr(Scripted, "answer", lambda self, _: ((question, Reply((Text("a"),))) for question in questions))
    with pytest.raises(RuntimeError, match="twice, or was not asked"):
        ask(tmp_path / "a", 2)


def test_a_picture_outside_the_folder_is_a_fault(tmp_path, monkeypatch):
    picture = tmp_path / "b.png"
    picture.write_bytes(b"")
    monkeypatch.setattr(Scripted, "reply", lambda self, _: Reply((Drawing(picture),)))
    with pytest.raises(ValueError, match=r"b\.png"):
        ask(tmp_path / "a", 1)


def test_texts_of_others_are_written_whatever_they_hold(tmp_path, monkeypatch):
    replies = {0: Reply((Text("half \ud800 a pair"),), note="\udfff"), 1: Failed("call_failed", "\ud800")}
    monkeypatch.setattr(Scripted, "reply", lambda self, question: replies[question.index])
    ask(tmp_path / "a", 2)
    rows = by_index(lines(tmp_path / "a"))
    assert rows[0]["response"] == [{"text": "half \ufffd a pair", "image": None}]
    assert (rows[0]["note"], rows[1]["failed"]["note"]) == ("\ufffd", "\ufffd")


def test_the_system_is_closed_whatever_happens(tmp_path, monkeypatch):
    closed = []
    monkeypatch.setattr(Scripted, "close", lambda self: closed.append(1))
    ask(tmp_path / "a", 1)
    with pytest.raises(KeyboardInterrupt):
        ask(tmp_path / "a", 2, stop=0)
    with pytest.raises(UserError):
        ask(tmp_path / "a", words="Stop")
    assert len(closed) == 3
