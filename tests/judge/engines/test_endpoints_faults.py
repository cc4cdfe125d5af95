"""Servers that fail: what passes is tried again, who is dead is dropped, and no answer is lost or judged twice."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import json
import re
import threading
import time
import types

import pytest
from fake_endpoint import FakeEndpoint, Fault, hashed
from PIL import Image
from run_files import results_but_run
from served_prompts import MANY, PACE, connected, results, right

from judge import cli
from judge.core.request import Picture, Request, Text
from judge.core.rubric import Literal
from judge.engines import Prompt, endpoints, surely_fits
from judge.engines import remote as module
from judge.engines.remote import ATTEMPTS, FIRST_REFUSALS, Pace
from judge.errors import UserError
from mmie_tasks.demo import demo_dir

PASSING = {
    "busy": Fault(status=429, headers={"retry-after": "0"}),
    "busy until a date": Fault(status=429, headers={"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}),
    "busy without a word": Fault(status=503, body=b""),
    "error": Fault(status=500, body=b"<html>Internal Server Error</html>"),
    "bad gateway": Fault(status=502),
    "late": Fault("slow"),
    "cut": Fault("cut"),
    "no JSON": Fault(status=200, body=b"<html>"),
    "no object": Fault(status=200, body=b"[]"),
    "no choice": Fault(status=200, body=b'{"choices": []}'),
    "no text": Fault(status=200, body=b'{"choices": [{"message": {"content": null}, "finish_reason": "stop"}]}'),
    "unfinished": Fault(status=200, body=b'{"choices": [{"message": {"content": "x"}, "finish_reason": "abort"}]}'),
    "no text at all": Fault(status=200, body=b'{"choices": [{"message": {"content": 7}, "finish_reason": "stop"}]}'),
}


@pytest.mark.parametrize("name", PASSING)
def test_what_passes_is_tried_again(name):
    with FakeEndpoint(hashed, lambda number, body: PASSING[name] if number % 7 == 0 else None) as fake:
        right(results(connected(fake, pace=dataclasses.replace(PACE, patience=60)), MANY), MANY)
    assert len(fake.asked) >= len(MANY)


@pytest.mark.timeout(60)
def test_a_rest_that_ends_while_it_is_looked_at_is_over(monkeypatch):
    """Every look at the clock finds it 1 s later, so that the rest ends between two of them."""
    clock = types.SimpleNamespace(monotonic=itertools.count().__next__)
    with FakeEndpoint(hashed) as fake:
        remote = connected(fake)
        monkeypatch.setattr(endpoints, "time", clock)
        monkeypatch.setattr(module, "time", clock)
        for number in range(2, 6):
            remote.endpoints[0].rests_until = clock.monotonic() + number
            right(results(remote, MANY[:3]), MANY[:3])


@pytest.mark.parametrize("kind", ["hang", "drip"])
def test_a_reply_that_never_ends_is_given_up(kind):
    def script(number, body):
        return Fault(kind) if number == 3 else None

    with FakeEndpoint(hashed, script) as fake, FakeEndpoint(hashed) as other:
        pace = Pace(seconds=3, patience=60, rest=0.01)
        right(results(connected(fake, other, pace=pace), MANY), MANY)


def test_all_faults_at_once_on_three_servers_change_nothing():
    """Which request meets which fault is up to the threads; none meets so many that it would be given up."""
    faults = list(PASSING.values())
    met, lock = collections.Counter(), threading.Lock()

    def script(seed):
        def fault(number, body):
            with lock:
                request = json.dumps(body["messages"])
                if number % 3 != seed or met[request] == ATTEMPTS - 2:  # the server that dies may have one more
                    return None
                met[request] += 1
            return faults[(number // 3 + seed) % len(faults)]

        return fault

    def dying(number, body):
        return Fault("die") if number >= 5 else None

    with (
        FakeEndpoint(hashed, script(0)) as a,
        FakeEndpoint(hashed, script(1)) as b,
        FakeEndpoint(hashed, dying) as c,
    ):
        server = connected(a, b, c, pace=dataclasses.replace(PACE, patience=60))
        right(results(server, MANY), MANY)
        assert met
        met.clear()
        right(results(server, MANY), MANY)
    assert len(c.asked) <= 5 + 4


def test_a_server_that_dies_is_dropped_and_its_work_done_by_the_other(capsys):
    release = threading.Event()

    def dying(number, body):
        release.set()
        return Fault("die")

    def waiting(number, body):
        release.wait(30)
        return None

    with FakeEndpoint(hashed, dying) as a, FakeEndpoint(hashed, waiting) as b:
        server = connected(a, b, pace=dataclasses.replace(PACE, patience=0.05))
        # enough work that the dead one is tried again until it is given up
        while server.endpoints[0].dropped is None:
            right(results(server, MANY), MANY)
    assert f"{a.url} is dropped" in capsys.readouterr().err
    assert len(a.asked) <= 4


def test_when_all_are_dead_the_journal_has_what_was_judged_and_the_next_run_goes_on(tmp_path, capsys):
    records = json.loads((demo_dir() / "data.json").read_text())
    answers = tmp_path / "answers.jsonl"
    answers.write_text("".join(json.dumps({"id": r["id"], "response": f"about {r['id']}"}) + "\n" for r in records))
    out = tmp_path / "out"

    def arguments(fake, folder):
        where = ["--benchmark", "mmie", "--data", str(demo_dir()), "--rubric", "mmjudge", "--batch-size", "1"]
        return ["score", str(answers), *where, "--judge", fake.url, "--out", str(folder), "--max-unscored", "1"]

    quick = dataclasses.replace(PACE, patience=0.05)
    connect_now = module.connect
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "connect", lambda *a, **k: connect_now(*a, **{**k, "pace": quick}))
        with FakeEndpoint(hashed, lambda number, body: Fault("die") if number == 6 else None) as fake:
            assert cli.main(arguments(fake, out)) == 2
        error = capsys.readouterr().err
        assert "9 answers are not judged" in error
        assert "the same command: it goes on from here" in error
        assert len((out / "verdicts.jsonl").read_text().splitlines()) == 6
        assert not (out / "results.json").exists()
        with FakeEndpoint(hashed) as fake:
            assert cli.main(arguments(fake, out)) == 0
            assert len(fake.asked) == 15 - 6
            assert cli.main(arguments(fake, tmp_path / "whole")) == 0
    assert results_but_run(out) == results_but_run(tmp_path / "whole")


def test_a_request_that_breaks_every_server_is_unscored_and_the_others_are_not():
    def script(number, body):
        return Fault(status=500) if "answer 7 " in body["messages"][1]["content"] else None

    with FakeEndpoint(hashed, script) as a, FakeEndpoint(hashed, script) as b:
        found = results(connected(a, b, pace=dataclasses.replace(PACE, patience=60)), MANY)
    assert [n for n, completion in enumerate(found) if completion.unscored] == [7]
    assert found[7].unscored == "engine_error"
    assert "told to fail" in (found[7].note or "")
    asked = [body for fake in (a, b) for body in fake.asked if "answer 7 " in body["messages"][1]["content"]]
    assert len(asked) == ATTEMPTS


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"error": {"message": "bad picture"}}', "engine_error"),
        # MMIE's judge reads such a prompt: the server's window is too small, and the answer is not to blame
        (b'{"message": "This model\'s maximum context length is 4096 tokens."}', "engine_error"),
        (b'{"error": "The decoder prompt (length 9) is longer than the maximum model length of 8."}', "engine_error"),
        (b"\xff\x00\x1b[2J", "engine_error"),
    ],
)
def test_a_refused_request_is_unscored_and_asked_once(body, reason):
    def script(number, asked):
        return Fault(status=400, body=body) if "answer 7 " in asked["messages"][1]["content"] else None

    with FakeEndpoint(hashed, script) as fake:
        found = results(connected(fake), MANY)
        assert len(fake.asked) == len(MANY)
    assert [(n, c.unscored) for n, c in enumerate(found) if c.unscored] == [(7, reason)]
    assert (found[7].note or "").isprintable()


WINDOW = Fault(status=400, body=b'{"error": {"message": "This model\'s maximum context length is 4096 tokens."}}')
# 131,072 tokens less 1,024 for the judge's own, at two bytes each
ROOM = 2 * (131_072 - 1_024)


@pytest.mark.parametrize(
    ("question", "answer", "reason"),
    [
        (100, 9_000, "engine_error"),
        (100, ROOM - 100, "engine_error"),
        (100, ROOM - 99, "answer_too_long"),
        (ROOM, 100, "request_too_long"),
        (ROOM // 2 + 1, ROOM // 2, "request_too_long"),
    ],
)
def test_whose_prompt_was_too_long_for_a_server(question, answer, reason):
    answered = (Text("a" * answer),)
    one = Prompt(Request("q", "PBL", (), answered), (Literal("q" * question), *answered))
    with FakeEndpoint(hashed, lambda number, asked: WINDOW) as fake:
        (completion,) = results(connected(fake), [one])
    assert completion.unscored == reason
    assert "maximum context length" in completion.note
    assert ("its window is too small" in completion.note) == (reason == "engine_error")


def test_an_answer_of_ordinary_length_is_not_blamed_for_its_pictures(tmp_path):
    pictures = []
    for number in range(3):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{number}.png")
        pictures.append(Picture(tmp_path / f"{number}.png", f"{number}.png"))
    one = Prompt(Request("q", "PBL", (), tuple(pictures)), (Literal("rate"), *pictures))
    with FakeEndpoint(hashed, lambda number, asked: WINDOW) as fake:
        (completion,) = results(connected(fake), [one])
    assert completion.unscored == "engine_error"
    # 39 pictures of 13 tiles of 256 tokens are 129,792 tokens, 40 are more than the judge has room for
    assert surely_fits(pictures[:1] * 39)
    assert not surely_fits(pictures[:1] * 40)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_server_that_will_not_have_us_is_dropped_at_once(status):
    with FakeEndpoint(hashed, lambda number, body: Fault(status=status)) as a, FakeEndpoint(hashed) as b:
        right(results(connected(a, b, under_way=1), MANY), MANY)
        assert len(a.asked) <= 1


def test_a_server_that_refuses_everything_is_not_set_up():
    with FakeEndpoint(hashed, lambda number, body: Fault(status=400)) as fake:
        reading = connected(fake, under_way=1).complete(MANY)
        found = [next(reading) for _ in range(FIRST_REFUSALS)]
        assert {completion.unscored for _, completion in found} == {"engine_error"}
        with pytest.raises(UserError, match=f"refused {FIRST_REFUSALS} requests and answered none: 400: told to fail"):
            next(reading)
        assert len(fake.asked) == FIRST_REFUSALS


def test_the_command_says_at_its_end_what_failed_most_often(tmp_path, capsys):
    records = json.loads((demo_dir() / "data.json").read_text())
    answers = tmp_path / "answers.jsonl"
    answers.write_text("".join(json.dumps({"id": r["id"], "response": f"about {r['id']}"}) + "\n" for r in records))

    def script(number, body):
        return Fault(status=400, body=b'{"error": "number %d is bad"}' % number) if number in range(1, 9) else None

    with FakeEndpoint(hashed, script) as fake:
        where = ["--benchmark", "mmie", "--data", str(demo_dir()), "--rubric", "mmjudge", "--batch-size", "1"]
        out = ["--out", str(tmp_path / "out"), "--max-unscored", "1"]
        assert cli.main(["score", str(answers), *where, "--judge", fake.url, *out]) == 0
    # 15 answers, of which the second to the ninth that were asked fail
    line = (
        rf"8 of 15 answers have no score because the engine failed: most often \(8\): {fake.url}: 400: number \d is bad"
    )
    assert len(re.findall(line, capsys.readouterr().err)) == 1


NO_MONEY = b'{"error": {"message": "You have spent it.", "type": "insufficient_quota", "code": null}}'
"""What OpenAI says with status 429."""


@pytest.mark.parametrize(("status", "body"), [(429, NO_MONEY), (402, b'{"error": {"message": "You have spent it."}}')])
def test_a_server_that_wants_money_ends_the_run_at_once(status, body):
    def script(number, _):
        return Fault(status=status, body=body) if number >= 3 else None

    judged = []
    with FakeEndpoint(hashed, script) as fake:
        server = connected(fake, under_way=1, pace=dataclasses.replace(PACE, patience=60))
        with pytest.raises(UserError, match=f"37 answers are not judged .*: {status}: You have spent it"):
            judged.extend(server.complete(MANY))
        assert (len(judged), len(fake.asked)) == (3, 4)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=429, headers={"retry-after": "0"}, body=NO_MONEY),  # it will have something left again
        Fault(status=429, body=b'{"error": {"message": "insufficient_quota", "code": 7}}'),
        Fault(status=429, body=b'{"error": "insufficient_quota"}'),
        Fault(status=429, body=b"[" * 100_000),
    ],
)
def test_a_server_that_has_too_much_to_do_is_asked_again(fault):
    with FakeEndpoint(hashed, lambda number, _: fault if number == 1 else None) as fake:
        right(results(connected(fake), MANY), MANY)
        assert len(fake.asked) == len(MANY) + 1


def of_a_choice(content, finish, **message) -> Fault:
    choice = {"message": {"content": content, **message}, "finish_reason": finish}
    return Fault(status=200, body=json.dumps({"choices": [choice]}).encode())


@pytest.mark.parametrize(
    "fault",
    [
        of_a_choice(None, "content_filter"),
        of_a_choice("I am", "content_filter"),
        of_a_choice(None, "stop", refusal="I cannot, sk-0123456789abcdef: maximum context length"),
    ],
)
def test_what_a_filter_or_the_model_refuses_is_asked_once_and_the_run_goes_on(fault, monkeypatch):
    """More of them than an endpoint that only fails is given time for."""
    monkeypatch.setenv("MMJUDGE_API_KEY", "sk-0123456789abcdef")
    with FakeEndpoint(hashed, lambda _, body: fault if "answer 1" in json.dumps(body["messages"]) else None) as fake:
        found = results(connected(fake, under_way=1), MANY)
        assert len(fake.asked) == len(MANY)
    lost = [one for one in found if one.text is None]
    assert {one.unscored for one in lost} == {"engine_error"}
    assert len(lost) == 11  # 1, and 10 to 19
    assert all("refused by a filter or by the model" in one.note and "sk-0" not in one.note for one in lost)
    with FakeEndpoint(hashed, lambda *_: fault) as fake:  # as in a run that goes on with what is left
        found = results(connected(fake, under_way=1), MANY[: 2 * FIRST_REFUSALS])
    assert {one.unscored for one in found} == {"engine_error"}


def test_an_answer_that_was_only_thought_is_cut():
    with FakeEndpoint(hashed, lambda number, _: of_a_choice(None, "length") if number == 0 else None) as fake:
        found = results(connected(fake, under_way=1), MANY)
        assert len(fake.asked) == len(MANY)
    assert [(one.text, one.stopped, one.unscored) for one in found if not one.text] == [("", False, None)]


def test_the_server_says_when_to_come_again():
    times = []

    def script(number, body):
        times.append(time.monotonic())
        return Fault(status=429, headers={"retry-after": "0.3"}) if number == 0 else None

    with FakeEndpoint(hashed, script) as fake:
        right(results(connected(fake, under_way=1), MANY[:1]), MANY[:1])
    assert times[1] - times[0] >= 0.3


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [
        ("7", 7, 7),
        ("0.5", 0.5, 0.5),
        ("-3", 0, 0),
        ("nan", 0, 0),
        ("soon", None, None),
        (None, None, None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 10**9, 10**12),
    ],
)
def test_retry_after(value, low, high):
    found = endpoints._wait(value)
    assert found is None if low is None else low <= found <= high


def test_never_more_under_way_than_allowed():
    lock, under_way = threading.Lock(), collections.Counter()
    counts = []

    def slow(number, body):
        with lock:
            under_way["now"] += 1
            counts.append(under_way["now"])
        time.sleep(0.05)
        with lock:  # before the reply is sent, and with it the next request
            under_way["now"] -= 1

    with FakeEndpoint(hashed, slow) as fake:
        right(results(connected(fake, under_way=3), MANY), MANY)
    assert max(counts) == 3


def test_a_reader_that_leaves_ends_the_threads():
    with FakeEndpoint(hashed, lambda number, body: Fault("hang") if number else None) as fake:
        reading = connected(fake, pace=dataclasses.replace(PACE, seconds=3)).complete(MANY)
        next(reading)
        reading.close()
        for thread in threading.enumerate():
            if thread.name == "judging":
                thread.join(60)
        assert not [thread for thread in threading.enumerate() if thread.name == "judging"]


def test_nothing_to_do():
    with FakeEndpoint(hashed) as fake:
        assert list(connected(fake).complete([])) == []
