"""Construction against a scripted server: what is sent, what is kept, and what is asked again."""

from __future__ import annotations

import errno
import json
import os

import pytest
from PIL import Image
from scripted_endpoint import ScriptedEndpoint, completion

from benchmarks.killed_construction import Teacher, reply_about, run_killed
from judge import cli
from judge.io import files

PICTURES = ("a.png", "b.png", "c.png")


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, name in enumerate(PICTURES):
        Image.new("RGB", (40, 30), (number * 40, 80, 90)).save(folder / name)
    (folder / "b.txt").write_text("A plain colour.\n")
    return folder


@pytest.fixture
def construct(tmp_path, pictures, capfd):
    """`mmjudge mmvu-data construct` in this process: (exit code, stdout, stderr)."""

    def run(server, *more, source=pictures):
        words = [str(source), "--address", getattr(server, "url", server), "--model", "teacher"]
        code = cli.main(["mmvu-data", "construct", *words, "--out", str(tmp_path / "out"), *map(str, more)])
        return code, *capfd.readouterr()

    return run


def sample_of(body):
    text = body["messages"][0]["content"][0]["text"]
    return json.JSONDecoder().raw_decode(text.removeprefix("Input JSON:\n"))[0]


def good(number, body):
    return {**completion(reply_about(sample_of(body))), "usage": {"prompt_tokens": 100, "completion_tokens": 50}}


def lines(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_every_picture_becomes_a_record_and_nothing_is_asked_twice(construct, tmp_path):
    with ScriptedEndpoint(good) as server:
        code, out, err = construct(server, "--price", 10, 20, "--extra", '{"top_k": 1, "temperature": ""}')
        assert code == 0, err
        # 3 prompts of 100 tokens at $10 a million and 3 replies of 50 at $20: 0.003 + 0.003
        assert "3 samples: 3 records" in out
        assert "300 + 150 tokens, $0.01" in out
        (body,) = [body for body in server.asked if sample_of(body)["id"] == "b.png"]
        assert sample_of(body) == {"id": "b.png", "image": "b.png", "caption": "A plain colour."}
        assert body["messages"][0]["content"][1]["image_url"]["url"].startswith("data:image/png;base64,")
        assert (body["model"], body["max_tokens"], body["top_k"]) == ("teacher", 4096, 1)
        assert "temperature" not in body
        schema = body["response_format"]["json_schema"]
        assert schema["schema"]["properties"]["conversations-neg"]["maxItems"] == 20
        assert construct(server, "--price", 10, 20, "--extra", '{"top_k": 1, "temperature": ""}')[0] == 0
        assert len(server.asked) == 3
    records = lines(tmp_path / "out" / "pairs.jsonl")
    assert [record["id"] for record in records] == list(PICTURES)
    stored = lines(tmp_path / "out" / "replies.jsonl")
    assert {line["reply"] for line in stored} == {reply_about({"id": name}) for name in PICTURES}  # raw
    assert all(len(line["prompt"]) == len(line["picture"]) == 64 for line in stored)


def test_a_bad_reply_is_asked_again_with_what_was_wrong_then_listed(construct, tmp_path):
    faults = {"a.png": ["quotes"], "b.png": ["truncated"], "c.png": ["unmatched"] * 9}

    def script(number, body):
        left = faults[sample_of(body)["id"]]
        fault = left.pop(0) if left else ""
        return completion(reply_about(sample_of(body), fault), "length" if fault == "truncated" else "stop")

    with ScriptedEndpoint(script) as server:
        code, _, err = construct(server, "--attempts", 3)
        assert (code, len(server.asked)) == (3, 2 + 2 + 3)
        again = {sample_of(body)["id"]: body["messages"] for body in server.asked[3:6]}
        assert construct(server, "--attempts", 3)[0] == 3
        assert len(server.asked) == 7  # its attempts are used up
        assert construct(server, "--attempts", 4)[0] == 3
        assert len(server.asked) == 8
    assert "unusable 1" in err
    _, reply, problem = again["a.png"]
    assert reply == {"role": "assistant", "content": reply_about({"id": "a.png"}, "quotes")}
    assert "it is not JSON: Expecting ',' delimiter" in problem["content"]
    (cut,) = again["b.png"]  # the half of a reply is not sent back
    assert "it was cut off at 4,096 tokens" in cut["content"][0]["text"]
    (failed,) = lines(tmp_path / "out" / "failed.jsonl")
    assert (failed["id"], failed["reason"], failed["attempts"]) == ("c.png", "unusable", 4)
    assert "do not match" in failed["note"]
    assert [record["id"] for record in lines(tmp_path / "out" / "pairs.jsonl")] == ["a.png", "b.png"]


def test_a_server_without_structured_output_is_asked_without(construct):
    def script(number, body):
        if "response_format" in body:
            return 400, {"error": {"message": "response_format json_schema is not supported"}}, {}
        return good(number, body)

    with ScriptedEndpoint(script) as server:
        code, _, err = construct(server, "--at-once", 1)
        assert code == 0
        assert ["response_format" in body for body in server.asked] == [True, False, False, False]
        assert "has no structured output" in err
    with ScriptedEndpoint(script) as server:
        assert construct(server, "--structured", "always", "--at-once", 1)[0] == 2  # another way to ask: another --out


def test_a_sample_that_the_server_refuses_is_listed_and_not_asked_again(construct, tmp_path):
    def script(number, body):
        if sample_of(body)["id"] == "c.png":
            return 400, {"error": {"message": "flagged by our content policy"}}, {}
        return good(number, body)

    with ScriptedEndpoint(script) as server:
        assert construct(server, "--at-once", 1)[0] == 3
        assert construct(server, "--at-once", 1)[0] == 3
        assert len(server.asked) == 3
    (failed,) = lines(tmp_path / "out" / "failed.jsonl")
    assert failed["reason"] == "refused"
    assert "content policy" in failed["note"]


def test_a_server_that_refuses_everything_is_not_asked_ten_thousand_times(construct, tmp_path):
    source = tmp_path / "many.json"
    source.write_text(json.dumps([{"id": str(n), "image": "pictures/a.png"} for n in range(100)]))
    with ScriptedEndpoint(lambda number, body: (400, {"error": {"message": "max_tokens is too large"}}, {})) as server:
        code, _, err = construct(server, "--at-once", 1, source=source)
        assert (code, len(server.asked)) == (2, 10)
    assert "refused 10 requests and answered none: 400: max_tokens is too large" in err
    assert (tmp_path / "out" / "replies.jsonl").read_bytes() == b""  # nothing is given up for good


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_ends_the_run_and_is_not_shown(construct, monkeypatch, status):
    monkeypatch.setenv("TEACHER_KEY", "sk-secret-0123456789")
    said = {"error": {"message": "no such key: Bearer sk-secret-0123456789"}}
    with ScriptedEndpoint(lambda number, body: (status, said, {})) as server:
        code, out, err = construct(server, "--key-variable", "TEACHER_KEY", "--at-once", 1)
        assert (code, len(server.asked), server.keys) == (2, 1, ["Bearer sk-secret-0123456789"])
    assert "$TEACHER_KEY" in err
    assert "sk-secret" not in out + err


def test_a_key_that_is_not_there(construct, monkeypatch):
    monkeypatch.delenv("TEACHER_KEY", raising=False)
    with ScriptedEndpoint(good) as server:
        code, _, err = construct(server, "--key-variable", "TEACHER_KEY")
        assert (code, server.asked) == (2, [])
    assert "$TEACHER_KEY is not set" in err


def test_a_picture_that_is_gone_or_broken_is_listed_and_asked_about_when_it_is_back(construct, pictures, tmp_path):
    source = tmp_path / "llava.json"
    rows = [{"id": name, "image": name, "conversations": [{"from": "human", "value": "<image>\nWhat?"}]}
            for name in (*PICTURES, "gone.png", "../out.png")]  # fmt: skip
    source.write_text(json.dumps([*rows, {"id": "text", "conversations": []}]))
    whole = (pictures / "b.png").read_bytes()
    (pictures / "b.png").write_bytes(whole[:40])
    with ScriptedEndpoint(good) as server:
        code, out, _ = construct(server, "--image-root", pictures, source=source)
        assert (code, len(server.asked)) == (3, 2)
        assert "1 records without a picture are left out" in out
        reasons = {row["id"]: row["reason"] for row in lines(tmp_path / "out" / "failed.jsonl")}
        assert reasons == {"b.png": "image_refused", "gone.png": "image_missing", "../out.png": "image_refused"}
        assert sample_of(server.asked[0])["conversations"] == rows[0]["conversations"]
        (pictures / "b.png").write_bytes(whole)
        assert construct(server, "--image-root", pictures, source=source)[0] == 3
        assert len(server.asked) == 3


def test_two_samples_of_one_id(construct, tmp_path):
    source = tmp_path / "llava.json"
    source.write_text('[{"id": "7", "image": "a.png"},\n {"id": 7, "image": "b.png"}]')
    code, _, err = construct("http://127.0.0.1:9/v1", source=source)
    assert code == 2
    assert 'record 7: field "id": stands twice, at record 1 and record 2' in err


def test_a_full_disk_ends_the_run_and_what_is_stored_stays(construct, tmp_path, monkeypatch):
    real, written = os.write, []

    def write(descriptor, data):
        if b'"attempt"' in data:
            written.append(data)
            if len(written) == 2:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, data)

    with ScriptedEndpoint(good) as server:
        monkeypatch.setattr(files.os, "write", write)
        code, _, err = construct(server, "--at-once", 1)
        assert code == 2
        assert "replies.jsonl: cannot be written (No space left on device)" in err
        monkeypatch.undo()
        stored = len(lines(tmp_path / "out" / "replies.jsonl"))
        asked = len(server.asked)
        assert construct(server, "--at-once", 1)[0] == 0
        assert len(server.asked) == asked + 3 - stored


def test_another_prompt_or_model_wants_another_folder(construct, tmp_path):
    with ScriptedEndpoint(good) as server:
        assert construct(server)[0] == 0
        before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
        code, _, err = construct(server, "--prompt", "v2")
    assert code == 2
    assert "another version, prompt" in err
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_a_sample_that_says_something_else_now_is_asked_about_again(construct, pictures):
    with ScriptedEndpoint(good) as server:
        assert construct(server)[0] == 0
        (pictures / "b.txt").write_text("Another caption.")
        assert construct(server)[0] == 0
        assert [sample_of(body)["id"] for body in server.asked[3:]] == ["b.png"]


def test_a_dry_run_asks_nothing_and_writes_nothing(construct, tmp_path, monkeypatch):
    code, out, _ = construct("http://127.0.0.1:9/v1", "--dry-run", "--price", 1, 2)
    assert code == 0
    assert "3 samples, 3 to be asked about" in out
    # a picture of 40 x 30 is one tile: 85 + 170; a v3 reply counts 1,700
    assert "3 calls, at most 9; estimated tokens of 3:" in out
    assert "5,100 of replies" in out
    assert not (tmp_path / "out").exists()
    with ScriptedEndpoint(good) as server:
        construct(server, "--limit", 1)
    out = construct("http://127.0.0.1:9/v1", "--dry-run")[1]
    # what replies had so far: 100 + 50 tokens
    assert "2 calls, at most 6; estimated tokens of 2: 200 of prompts, 100 of replies" in out


def test_a_journal_that_is_another_file(construct, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "replies.jsonl").write_text('{"id": "7", "response": "A"}\n')
    code, _, err = construct("http://127.0.0.1:9/v1")
    assert code == 2
    assert "replies.jsonl: line 1 is not a reply of `mmjudge mmvu-data construct`" in err
    assert (tmp_path / "out" / "replies.jsonl").read_text() == '{"id": "7", "response": "A"}\n'


def test_a_dataset_of_datasets_is_a_source(construct, tmp_path, pictures):
    datasets = pytest.importorskip("datasets")
    rows = {"id": ["x", "y"], "image": [str(pictures / "a.png"), None], "caption": ["One.", "Two."]}
    made = datasets.Dataset.from_dict(rows).cast_column("image", datasets.Image())
    made.save_to_disk(tmp_path / "saved")
    with ScriptedEndpoint(good) as server:
        code, _, err = construct(server, source=tmp_path / "saved")
        assert code == 0, err
        assert [sample_of(body)["caption"] for body in server.asked] == ["One."]
    (record,) = lines(tmp_path / "out" / "pairs.jsonl")
    assert record["id"] == "x"
    assert (tmp_path / "out" / "images" / record["image"]).read_bytes() == (pictures / "a.png").read_bytes()


def test_killed_runs_lose_nothing_and_ask_nothing_twice(tmp_path):
    outcome = run_killed(tmp_path, count=120, kills=3)
    assert (outcome.samples, outcome.usable, outcome.kills) == (120, 120, 3)
    assert outcome.stored > 120  # some replies could not be used
    assert outcome.failed > 0
    assert set(outcome.pairs) == {7, 8, 9, 10}


def test_the_teacher_of_the_benchmark_fails_as_often_as_it_says():
    teacher = Teacher(share=0.2)
    try:
        faults = sum(bool(teacher.note("x")[1]) for _ in range(2000))
    finally:
        teacher.close()
    # 2,000 calls at 0.2: 400, standard deviation 18
    assert 330 < faults < 470
