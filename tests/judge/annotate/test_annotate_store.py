"""The file of scores: nothing is lost, nothing is counted twice, and it is what finetuning reads."""

import errno
import json
import multiprocessing
import os
import shutil
from pathlib import Path

import pytest
from annotating import MODELS, RUBRIC, both, responses, session
from filelock import FileLock

from judge.annotate import store as store_module
from judge.annotate.store import Store
from judge.core.request import Picture, Text
from judge.errors import UserError
from judge.finetune.dataset import text_before_score
from judge.io import human_scores
from mmie_tasks.benchmark import BENCHMARK
from mmie_tasks.demo import demo_dir

ANSWER = (Text("Step 2: pour."),)
MARKS = {"Text quality": 1, "Emotional impact": -1}


def who(number, annotator="a1", model="m"):
    return f"PBL-{number}", model, annotator


def read(path):
    return {score.who: score.score for score in human_scores.read_human_scores(path)}


def test_scores_are_given_replaced_and_taken_back(tmp_path):
    path = tmp_path / "new" / "scores.jsonl"
    store = Store(path)
    assert store.scores("a1") == {}
    store.record(who(1), 4, ANSWER, MARKS, "Note, \ud800 and </script>")
    store.record(who(2), 0, ANSWER)
    store.record(who(1), 5, ANSWER)
    assert read(path) == {who(1): 5, who(2): 0}
    assert list(store.scores("a1")) == [("PBL-2", "m"), ("PBL-1", "m")]  # in the order in which they were given
    store.undo(who(1))
    store.undo(who(1))  # nothing is left to take back
    assert read(path) == {who(2): 0}
    assert [json.loads(line).get("undo") for line in path.read_text().splitlines()] == [None, None, True, None, True]
    assert Store(path).scores("a1").keys() == {("PBL-2", "m")}


def test_criteria_and_notes_come_back(tmp_path):
    store = Store(tmp_path / "scores.jsonl")
    store.record(who(1), 4, ANSWER, MARKS, "A note.")
    store.record(who(2), 4, ANSWER)
    with_marks, without = human_scores.read_human_scores(store.path)
    assert (with_marks.criteria, with_marks.feedback) == (MARKS, "A note.")
    assert (without.criteria, without.feedback) == ({}, None)
    assert with_marks.answer.response == [{"text": "Step 2: pour.", "image": None}]


@pytest.mark.parametrize("cut", [1, 2, 30, -2, -1])
def test_a_torn_last_line_is_cut_off(tmp_path, cut):
    """cut: bytes of the last line that reached the disk; -1: all but the newline, so the score is whole."""
    path = tmp_path / "scores.jsonl"
    store = Store(path)
    store.record(who(1), 4, ANSWER)
    whole = path.stat().st_size
    store.record(who(2), 5, ANSWER)
    line = path.read_bytes()[whole:]
    os.truncate(path, whole + len(line[:cut]))
    again = Store(path)
    expected = {who(1): 4, **({who(2): 5} if cut == -1 else {})}
    assert read(path) == expected
    again.record(who(3), 6, ANSWER)
    assert read(path) == {**expected, who(3): 6}


def test_another_server_heals_what_a_killed_one_left(tmp_path):
    path = tmp_path / "scores.jsonl"
    running, killed = Store(path), Store(path)
    killed.record(who(1, "a2"), 4, ANSWER)
    with path.open("ab") as file:
        file.write(b'{"id": "PBL-2", "model": "m", "annot')
    running.record(who(1), 3, ANSWER)
    assert read(path) == {who(1, "a2"): 4, who(1): 3}


def test_a_line_that_is_no_score_is_named(tmp_path):
    path = tmp_path / "scores.jsonl"
    path.write_text('{"id": "PBL-1", "model": "m", "annotator": "a1", "score": 9}\n')
    with pytest.raises(UserError, match=r'line 1: field "score" is 9, outside 0 to 6'):
        Store(path)
    path.write_text('{"id": "PBL-1"}, oops\n{"id": "PBL-1", "score": 3}\n')
    with pytest.raises(UserError, match="line 1"):
        Store(path)
    assert path.read_text().startswith('{"id": "PBL-1"}, oops\n')  # nothing was mended that was not ours


@pytest.mark.parametrize(
    "content", [b"\x89PNG\r\n\x1a\n\0\0", b"Dear diary,\nnothing", b'{"benchmark": "mmie"}', b"[1,\n2", b"4"]
)
def test_a_file_given_by_mistake_is_left_alone(tmp_path, content):
    path = tmp_path / "mine"
    path.write_bytes(content)
    with pytest.raises(UserError, match="line 1"):
        Store(path)
    assert path.read_bytes() == content


def _give(path, annotator, n):
    store = Store(path)
    for number in range(n):
        store.record(who(number, annotator), number % 7, (Text("x" * 3000),))


def test_servers_share_a_file(tmp_path):
    path = tmp_path / "scores.jsonl"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_give, args=(path, f"a{k}", 8)) for k in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert read(path) == {who(number, f"a{k}"): number % 7 for k in range(3) for number in range(8)}


def test_a_file_that_is_held_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "LOCK_WAIT", 0.05)
    path = tmp_path / "scores.jsonl"
    store = Store(path)
    with FileLock(f"{path}.lock"):
        with pytest.raises(OSError, match="another process holds its lock"):
            store.record(who(1), 3, ANSWER)
        with pytest.raises(UserError, match="another process holds its lock"):
            Store(path)
    store.record(who(1), 3, ANSWER)
    assert read(path) == {who(1): 3}


def test_a_full_disk_leaves_no_half_score(tmp_path, monkeypatch):
    path = tmp_path / "scores.jsonl"
    store = Store(path)
    store.record(who(1), 3, ANSWER)
    before = path.read_bytes()
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:20]))
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        store.record(who(2), 3, ANSWER)
    monkeypatch.undo()
    assert path.read_bytes() == before

    def failing(file):
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError, match="input/output error"):
        store.record(who(2), 3, ANSWER)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert store.scores("a1").keys() == {("PBL-1", "m")}


def test_after_the_end_nothing_is_written(tmp_path):
    store = Store(tmp_path / "scores.jsonl")
    store.record(who(1), 3, ANSWER)
    store.close()
    with pytest.raises(OSError, match="being stopped"):
        store.record(who(2), 3, ANSWER)
    assert len(store.scores("a1")) == 1


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        Store(tmp_path / "file" / "scores.jsonl")


def test_the_file_is_what_finetuning_reads(tmp_path):
    """Every answer, read back from a folder that was moved, makes the request that was scored."""
    files = both(tmp_path / "answers")
    working = session(files, tmp_path / "here" / "scores.jsonl")
    for position in range(len(working.items)):
        working.score({"item": position, "score": position % 7, "criteria": None, "feedback": ""})
    shutil.rmtree(tmp_path / "answers")
    shutil.move(tmp_path / "here", tmp_path / "there")
    scores = human_scores.read_human_scores(tmp_path / "there" / "scores.jsonl")
    assert len(scores) == 30
    shown = {item.key: (position, item.request) for position, item in enumerate(working.items)}
    pictures = 0
    for model in MODELS:
        of = [score for score in scores if score.model == model]
        for score, request in zip(
            of, BENCHMARK.assess([score.answer for score in of], BENCHMARK.load(demo_dir()), "strict"), strict=True
        ):
            position, asked = shown[score.id, model]
            assert score.score == position % 7
            assert request.question == asked.question
            assert request.answer_text() == asked.answer_text()
            assert request.gt_answer == asked.gt_answer
            for picture in (segment for segment in request.answer if isinstance(segment, Picture)):
                assert picture.path.is_relative_to(tmp_path / "there" / "images")
                pictures += 1
            original = [s.name for s in asked.answer if isinstance(s, Picture)]
            copies = [s.path.read_bytes() for s in request.answer if isinstance(s, Picture)]
            assert copies == [(demo_dir() / "images" / Path(name).name).read_bytes() for name in original]
    assert pictures > 20


@pytest.mark.parametrize("off", [0, -1])
def test_marks_are_what_the_objective_of_criteria_learns(files, tmp_path, off):
    working = session(files, tmp_path / "scores.jsonl")
    position = next(n for n, item in enumerate(working.items) if item.request.category == "SA")
    names = RUBRIC.criteria("SA")
    marks = dict(zip(names, [1, 1, 1, 1, 0, 0, off], strict=True))
    working.score({"item": position, "score": 4 + off, "criteria": marks, "feedback": ""})
    (score,) = human_scores.read_human_scores(working.store.path)
    assert text_before_score(score, "criteria", names) == "\n".join(
        ["### Feedback", *(f"{name}: {marks[name]}" for name in names)]
    )  # fmt: skip


def test_answers_that_models_with_image_output_write(tmp_path):
    """Reasoning, JSON and markers are gone from what is kept; what the judge reads is the same."""
    said = json.dumps({"text": "<think>hm</think>Step 2 <image> Step 3", "images": ["pics/PBL-9001-1.png"]})
    files = [("m", responses(tmp_path / "m", [{"id": "PBL-9001", "response": said}]))]
    working = session(files, tmp_path / "scores.jsonl")
    working.score({"item": 0, "score": 3, "criteria": None, "feedback": ""})
    (score,) = human_scores.read_human_scores(tmp_path / "scores.jsonl")
    (request,) = BENCHMARK.assess([score.answer], BENCHMARK.load(demo_dir()), "strict")
    assert request.answer_text() == working.items[0].request.answer_text()
    assert [part["text"] for part in score.answer.response] == ["Step 2", "Step 3"]


def test_scores_of_another_answer_are_not_taken_for_this_ones(tmp_path):
    files = [("m", responses(tmp_path / "m", [{"id": "PBL-9001", "response": "Step 2: pour."}]))]
    session(files, tmp_path / "scores.jsonl").score({"item": 0, "score": 3, "criteria": None, "feedback": ""})
    assert session(files, tmp_path / "scores.jsonl").scored() == 1
    later = [("m", responses(tmp_path / "later", [{"id": "PBL-9001", "response": "Step 2: stir."}]))]
    with pytest.raises(UserError, match="record PBL-9001: a1 scored another answer of m"):
        session(later, tmp_path / "scores.jsonl")
    assert session(later, tmp_path / "scores.jsonl", annotator="a2").scored() == 0


def test_a_score_twice_is_refused_where_nothing_took_the_first_back(tmp_path):
    path = tmp_path / "scores.jsonl"
    row = '{"id": "PBL-1", "model": "m", "annotator": "a1", "score": 3}\n'
    undo = '{"id": "PBL-1", "model": "m", "annotator": "a1", "undo": true}\n'
    path.write_text(row + undo + row.replace("3", "4"))
    assert read(path) == {who(1): 4}
    path.write_text(row + row.replace("a1", "a2") + row)
    with pytest.raises(UserError, match="line 3 'a1' scored this answer before, in line 1"):
        human_scores.read_human_scores(path)
    path.write_text(row + undo)
    with pytest.raises(UserError, match="holds no scores"):
        human_scores.read_human_scores(path)
    assert human_scores.read_standing_scores(path) == {}
