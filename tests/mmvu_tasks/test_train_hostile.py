"""Replies, servers and files of others: whatever they hold, it is a problem in words, never a crash or a lost run."""

from __future__ import annotations

import errno
import functools
import json
import os

import pytest
from mutants import damage_bytes, damage_json, mutants, no_hang
from PIL import Image
from scripted_endpoint import ScriptedEndpoint, completion

from benchmarks.killed_construction import reply_about
from judge import cli
from judge.errors import UserError
from judge.io import files
from mmvu_tasks.train import construct as construct_module
from mmvu_tasks.train.forms import FORMS, Shape, write_form
from mmvu_tasks.train.journal import Journal, Stored
from mmvu_tasks.train.mix import Wish, mix_data
from mmvu_tasks.train.pairs import read_pairs
from mmvu_tasks.train.prompts import RULES
from mmvu_tasks.train.replies import check_reply
from mmvu_tasks.train.samples import Sample, Source

SAMPLE = Sample("a", "a.png", {"id": "a"})


def test_damaged_replies_are_records_or_problems():
    whole, usable = reply_about({"id": "a"}).removeprefix("```json\n").removesuffix("\n```"), 0
    for seed, random in mutants(300):
        text = (
            damage_json(random, whole) if seed % 2 else damage_bytes(random, whole.encode()).decode("utf-8", "replace")
        )
        with no_hang():
            checked = check_reply(text, SAMPLE, RULES["v3"])
        assert (checked.record is None) == bool(checked.problems), seed
        usable += checked.record is not None
        if checked.record is not None:
            json.dumps(checked.record.to_json(), ensure_ascii=False).encode()  # UTF-8 can hold it
    assert 0 < usable < 300


@pytest.mark.parametrize("text", ["```\n" * 200_000, "{" * 200_000, "```" * 200_000 + "{}", '{"a": "' + "\\" * 200_000])
def test_no_reply_takes_long(text):
    with no_hang():
        assert check_reply(text, SAMPLE, RULES["v3"]).record is None


def test_damaged_files_are_read_or_refused(tmp_path):
    reply = json.loads(reply_about({"id": "a"}).removeprefix("```json\n").removesuffix("\n```"))
    pairs = json.dumps({**reply, "image": "a.png"})
    llava = json.dumps([{"id": "a", "image": "a.png", "conversations": reply["conversations-pos"]}])
    refused = 0
    for seed, random in mutants(120):
        pairs_file, llava_file = tmp_path / "pairs.jsonl", tmp_path / "llava.json"
        change = damage_json if seed % 2 else lambda chance, text: damage_bytes(chance, text.encode())
        for file, text in ((pairs_file, pairs), (llava_file, llava)):
            damaged = change(random, text)
            file.write_bytes(damaged if isinstance(damaged, bytes) else damaged.encode("utf-8", "surrogatepass"))
        wish, source = Wish("add", 1), Source(str(llava_file), tmp_path / "images")
        for attempt in (
            functools.partial(lambda file: list(read_pairs(file)), pairs_file),
            *(functools.partial(write_form, form, pairs_file, tmp_path, Shape()) for form in FORMS),
            source.read_samples,
            functools.partial(mix_data, wish, llava_file, llava_file, tmp_path / "mix"),
        ):
            with no_hang():
                try:
                    attempt()
                except UserError:
                    refused += 1
    assert refused > 50


def ask(tmp_path, script, *more):
    pictures = tmp_path / "pictures"
    pictures.mkdir(exist_ok=True)
    Image.new("RGB", (20, 20), "red").save(pictures / "a.png")
    with ScriptedEndpoint(script) as server:
        words = [str(pictures), "--address", server.url, "--model", "m", "--out", str(tmp_path / "out"), *more]
        return cli.main(["mmvu-data", "construct", *words]), len(server.asked)


@pytest.mark.parametrize(
    "usage", [None, [], {}, {"prompt_tokens": -5}, {"prompt_tokens": 10**300, "completion_tokens": "x"},
              {"prompt_tokens": 1e999}, {"prompt_tokens": {}}],
)  # fmt: skip
def test_a_reply_is_kept_whatever_the_server_counts(tmp_path, usage):
    def script(number, body):
        return {**completion(reply_about({"id": "a.png"})), "usage": usage}

    if usage == []:
        usage = None
    assert ask(tmp_path, script) == (0, 1)
    assert ask(tmp_path, script) == (0, 0)  # and the journal can be read
    (line,) = map(json.loads, (tmp_path / "out" / "replies.jsonl").read_text().splitlines())
    assert line["tokens"] == [0, 0]


@pytest.mark.parametrize("content", [None, "", 7, [], [{"type": "image"}], "\ud800 {", "x" * 2000])
def test_a_reply_of_another_kind_is_a_problem(tmp_path, monkeypatch, content):
    monkeypatch.setattr(construct_module, "MOST_CHARACTERS", 1000)
    assert ask(tmp_path, lambda number, body: completion(content, "x" * 500), "--attempts", "2") == (3, 2)
    lines = [json.loads(line) for line in (tmp_path / "out" / "replies.jsonl").read_text().splitlines()]
    assert [line["attempt"] for line in lines] == [1, 2]
    assert all(line["problems"] and len(line["reply"]) <= 1000 and len(line["finish"]) < 100 for line in lines)
    assert ask(tmp_path, lambda number, body: completion(content), "--attempts", "2") == (3, 0)


def test_a_second_process_is_kept_out(tmp_path):
    with Journal(tmp_path / "replies.jsonl") as journal:
        journal.add(Stored("a", 1, "p", "q", "{}", "stop", (), (1, 2), 0.5))
        with pytest.raises(UserError, match="another process is writing here"):
            Journal(tmp_path / "replies.jsonl")
    with Journal(tmp_path / "replies.jsonl") as journal:
        assert (journal.replies, journal.usable, journal.tokens) == (1, 1, [1, 2])
        assert journal.stored_at(journal.last("a", "p")).reply == "{}"
        assert journal.last("a", "another prompt") is None


@pytest.mark.parametrize("cut", [1, 30, 200])
def test_what_a_kill_leaves_of_a_last_line_is_cut_off(tmp_path, cut):
    file = tmp_path / "replies.jsonl"
    with Journal(file) as journal:
        for number in (1, 2):
            journal.add(Stored("a", number, "p", "q", "x" * 300, "stop", ("bad",), (1, 2), 0.5))
    whole = file.read_bytes()
    file.write_bytes(whole[:-cut])
    with Journal(file) as journal:
        # a line that lost its newline alone is whole
        assert journal.last("a", "p").attempt == (2 if cut == 1 else 1)
        journal.add(Stored("b", 1, "p", "q", "{}", "stop", (), (1, 2), 0.5))
        assert journal.stored_at(journal.last("b", "p")).id == "b"
        assert journal.stored_at(journal.last("a", "p")).id == "a"
    with Journal(file) as journal:
        assert journal.usable == 1


@pytest.mark.parametrize("step", ["filter", "mix"])
def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch, capfd, step):
    reply = json.loads(reply_about({"id": "a"}).removeprefix("```json\n").removesuffix("\n```"))
    (tmp_path / "pairs.jsonl").write_text(json.dumps({**reply, "image": "a.png"}) + "\n")
    llava = [{"id": "a", "image": "a.png", "conversations": reply["conversations-pos"]}]
    (tmp_path / "llava.json").write_text(json.dumps(llava))
    words = {
        "filter": ["filter", str(tmp_path / "pairs.jsonl"), "--no-leak-check", "--out", str(tmp_path / "out")],
        "mix": ["mix", str(tmp_path / "llava.json"), "--new", str(tmp_path / "llava.json"), "--add", "1", "--out",
                str(tmp_path / "out")],
    }[step]  # fmt: skip
    assert cli.main(["mmvu-data", *words]) == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "_fsync", full)
    assert cli.main(["mmvu-data", *words]) == 2
    assert "cannot be written (No space left on device)" in capfd.readouterr().err
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
