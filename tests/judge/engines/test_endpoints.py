"""The judge behind addresses: the same scores and feedback as in this process, whatever the servers do meanwhile."""

from __future__ import annotations

import base64
import json
import threading

import pytest
from fake_endpoint import FakeEndpoint, hashed, said
from PIL import Image
from served_prompts import MANY, PACE, connected, prompt, results, right, tokens

from judge import cli
from judge.core.request import Picture
from judge.core.rubric import Literal
from judge.engines import Prompt
from judge.engines.endpoints import Address, addresses
from judge.engines.remote import FIRST_MISREAD, connect
from judge.errors import UserError
from judge.model import conversation, images
from mmie_tasks.benchmark import BENCHMARK
from mmie_tasks.demo import demo_dir, judge_dir

# The same answers -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def in_process():
    """The bundled judge, its prompts for the demo's references, and what it says to them."""
    torch = pytest.importorskip("torch", reason="the hf extra is not installed")
    from judge.engines import EngineOptions
    from judge.engines.local import load_local_engine

    torch.set_num_threads(1)
    engine = load_local_engine(str(judge_dir()), EngineOptions(device="cpu"))
    rubric = BENCHMARK.rubric("mmjudge")
    prompts = [Prompt(request, rubric.render(request)) for request in BENCHMARK.references(None, 3)]
    found = dict(engine.complete(prompts))
    return engine, prompts, [found[number] for number in range(len(prompts))]


@pytest.fixture
def judged(in_process, tmp_path):
    """Answers of the bundled judge to what arrives at a server, read back from the messages alone."""
    engine, prompts, _ = in_process
    lock, count = threading.Lock(), iter(range(10**6))
    known = connected_tokenizer()

    def answer(text: str, pictures: list[bytes]) -> dict:
        pieces, tiles = [], []
        parts = text.split("<image>")
        for part, picture in zip(parts, [*pictures, None], strict=True):
            pieces.append(Literal(part))
            if picture is not None:
                with lock:
                    file = tmp_path / f"{next(count)}"
                file.write_bytes(picture)
                pieces.append(Picture(file, file.name))
                tiles.append(len(images.cut_tiles(images.decode_image(file), known.layout.tile_size)))
        with lock:
            ((_, completion),) = engine.complete([Prompt(prompts[0].request, tuple(pieces))])
        read = conversation.encode_chat_text(known.tokenizer, text, tiles, known.layout.tokens_per_tile)
        finish = "stop" if completion.stopped else "length"
        return {"text": completion.text, "finish": finish, "prompt_tokens": len(read)}

    return answer


def connected_tokenizer():
    from judge.engines.chat_request import ServedJudge

    return ServedJudge.of(str(judge_dir()))


def test_the_same_feedback_and_scores_as_in_process(in_process, judged):
    _, prompts, wanted = in_process
    with FakeEndpoint(judged) as a, FakeEndpoint(judged) as b:
        server = connect(f"{a.url},{b.url}", tokenizer=str(judge_dir()), under_way=2, pace=PACE)
        found = results(server, prompts)
    assert [(c.text, c.stopped, c.unscored) for c in found] == [(c.text, c.stopped, c.unscored) for c in wanted]
    assert all("### Score" in (c.text or "") for c in found)
    assert server.identity == {
        "judge": "the-judge",
        "server": "vllm 0.99",
        "prompt": "checked",
        "tiles": "12x112",
        "decoding": "greedy-1024",
        "dtype": "unknown",
        "rope": "server",
        "engine": "server",
    }


def test_what_is_sent(in_process, judged):
    """System line, placeholders in place, the files' own bytes in order, and what makes the end exact."""
    _, prompts, _ = in_process
    one = max(prompts, key=lambda each: len(each.request.pictures))
    with FakeEndpoint(judged) as fake:
        results(connect(fake.url, tokenizer=str(judge_dir()), pace=PACE), [one])
        (body,) = fake.asked
    system, user = body.pop("messages")
    assert system["content"] == conversation.SYSTEM_MESSAGE
    assert [part["type"] for part in user["content"]] == ["text"] + ["image_url"] * len(one.request.pictures)

    sent = [base64.b64decode(part["image_url"]["url"].partition(",")[2]) for part in user["content"][1:]]
    assert sent == [picture.path.read_bytes() for picture in one.request.pictures]
    assert len(sent) >= 2
    stop = json.loads((judge_dir() / "added_tokens.json").read_text())["<|end|>"]
    assert body == {
        "model": "the-judge",
        "temperature": 0,
        "max_tokens": 1024,
        "stop": ["<|end|>"],
        "stop_token_ids": [stop],
        "ignore_eos": True,
        "repetition_penalty": 1.0,
    }


def test_a_server_that_is_not_vllm_gets_the_protocol_alone():
    with FakeEndpoint(hashed, owned_by="someone") as fake:
        server = connected(fake)
        right(results(server, MANY[:1]), MANY[:1])
        assert set(fake.asked[0]) == {"model", "messages", "temperature", "max_tokens", "stop"}
    assert server.identity["server"] == "someone"
    assert server.identity["prompt"] == "unchecked"


def test_the_command_line_gives_the_same_results_file(in_process, judged, tmp_path):
    """`mmjudge score` with an address and with a folder: the same verdicts, the signature apart."""
    records = json.loads((demo_dir() / "data.json").read_text())[:2]
    rows = [{"id": r["id"], "response": [{"text": "Step 2: Stick the yellow heart.", "image": None}]} for r in records]
    answers = tmp_path / "answers.jsonl"
    answers.write_text("".join(json.dumps(row) + "\n" for row in rows))
    where = ["--benchmark", "mmie", "--data", str(demo_dir()), "--rubric", "mmjudge", "--partial"]
    found = {}
    with FakeEndpoint(judged) as fake:
        judges = {
            "folder": [str(judge_dir()), "--device", "cpu"],
            "address": [fake.url, "--tokenizer", str(judge_dir())],
        }
        for name, judge in judges.items():
            arguments = ["score", str(answers), *where, "--judge", *judge, "--out", str(tmp_path / name)]
            assert cli.main(arguments) == 0
            found[name] = json.loads((tmp_path / name / "results.json").read_text())
            lines = (tmp_path / name / "verdicts.jsonl").read_text().splitlines()
            verdicts = sorted((json.loads(line) for line in lines), key=lambda row: row["id"])
            found[name]["verdicts"] = [(row["id"], row["score"], row.get("feedback")) for row in verdicts]
    assert found["folder"]["verdicts"] == found["address"]["verdicts"]
    assert found["folder"]["metrics"] == found["address"]["metrics"]
    assert "engine:server" in found["address"]["signature"]


# Prompts of any length ------------------------------------------------------------------------------------------------


def test_short_and_long_prompts_go_to_their_endpoints():
    known = connected_tokenizer()
    short = prompt(0, Literal("A short one."))
    nearly = prompt(1, Literal("word " * 200))
    long = prompt(2, Literal("word " * 900))

    def counted(text: str, pictures: list[bytes]) -> dict:
        length = tokens(known, text, pictures)
        return {"text": said(text, pictures), "prompt_tokens": length}

    with FakeEndpoint(counted, window=1024) as a, FakeEndpoint(counted, window=8192) as b:
        server = connect(f"{a.url}#short,{b.url}#long", tokenizer=str(judge_dir()), pace=PACE)
        right(results(server, [short, nearly, long]), [short, nearly, long])
        at = [{body["messages"][1]["content"][:11]: body["max_tokens"] for body in fake.asked} for fake in (a, b)]
        lengths = [
            len(conversation.encode_chat_text(known.tokenizer, body["messages"][1]["content"], [], 0))
            for body in a.asked
        ]
    assert server.identity["rope"] == "split"
    assert len(a.asked) == 2
    assert len(b.asked) == 1
    assert at[1] == {"word word w": 1024}
    # at the short one, prompt and answer stay within its window of 1,024 tokens
    assert sorted(length + body["max_tokens"] for length, body in zip(lengths, a.asked, strict=True)) == [1024, 1024]


def test_an_answer_that_leaves_the_short_window_is_asked_again_at_the_long_endpoint():
    known = connected_tokenizer()

    def counted(finish: str):
        def answer(text: str, pictures: list[bytes]) -> dict:
            length = tokens(known, text, pictures)
            return {"text": f"{finish}\n### Score\n3", "finish": finish, "prompt_tokens": length}

        return answer

    with FakeEndpoint(counted("length"), window=1024) as a, FakeEndpoint(counted("stop")) as b:
        server = connect(f"{a.url}#short,{b.url}#long", tokenizer=str(judge_dir()), pace=PACE)
        (completion,) = results(server, [prompt(0, Literal("Some words."))])
    assert completion.text == "stop\n### Score\n3"
    assert "cross the short window" in (completion.note or "")
    assert (len(a.asked), len(b.asked)) == (1, 1)


def test_labels_need_the_tokenizer_and_a_window_that_fits():
    with FakeEndpoint(hashed) as a:
        with pytest.raises(UserError, match="--tokenizer"):
            connect(f"{a.url}#short", pace=PACE)
        with pytest.raises(UserError, match=r"serves up to 8192 tokens.*\n.*--max-model-len 1024"):
            connect(f"{a.url}#short", tokenizer=str(judge_dir()), pace=PACE)


def test_a_prompt_beyond_the_window_is_not_sent():
    with FakeEndpoint(hashed) as a:
        server = connect(a.url, tokenizer=str(judge_dir()), pace=PACE)
        (completion,) = results(server, [prompt(0, Literal("word " * 9000))])
        assert a.asked == []
    assert completion.unscored == "request_too_long"


# A server that reads something else -----------------------------------------------------------------------------------


def test_an_endpoint_that_reads_another_prompt_is_dropped():
    known = connected_tokenizer()

    def reads(more: int):
        def answer(text: str, pictures: list[bytes]) -> dict:
            length = tokens(known, text, pictures)
            return {"text": said(text, pictures), "prompt_tokens": length + more}

        return answer

    with FakeEndpoint(reads(1)) as wrong, FakeEndpoint(reads(0)) as good:
        server = connect(f"{wrong.url},{good.url}", tokenizer=str(judge_dir()), under_way=1, pace=PACE)
        assert [str(endpoint.address) for endpoint in server.endpoints] == [good.url]
        right(results(server, MANY), MANY)
        assert wrong.asked == []
    with FakeEndpoint(reads(-29)) as wrong, pytest.raises(UserError, match="chat template"):
        connect(wrong.url, tokenizer=str(judge_dir()), pace=PACE)


def test_an_endpoint_that_reads_another_prompt_only_later_is_dropped():
    known = connected_tokenizer()

    def reads(more: int):
        def answer(text: str, pictures: list[bytes]) -> dict:
            length = tokens(known, text, pictures) + more * ("An answer." not in text)
            return {"text": said(text, pictures), "prompt_tokens": length}

        return answer

    with FakeEndpoint(reads(1)) as wrong, FakeEndpoint(reads(0)) as good:
        server = connect(f"{wrong.url},{good.url}", tokenizer=str(judge_dir()), under_way=1, pace=PACE)
        assert len(server.endpoints) == 2
        found = results(server, MANY)
    lost = [number for number, completion in enumerate(found) if completion.unscored]
    assert len(lost) == FIRST_MISREAD
    assert {(found[number].unscored, "the server read" in found[number].note) for number in lost} == {
        ("engine_error", True)
    }
    kept = [number for number in range(len(MANY)) if number not in lost]
    right([found[number] for number in kept], [MANY[number] for number in kept])
    with FakeEndpoint(reads(-29)) as wrong:
        server = connect(wrong.url, tokenizer=str(judge_dir()), under_way=1, pace=PACE)
        with pytest.raises(UserError, match="it misread 3 requests and answered none: the server read"):
            list(server.complete(MANY))


def test_prompts_are_shared_out_among_idle_endpoints():
    """All under way at once: 10 at each of two, though one alone would take them all."""
    both = threading.Barrier(20)

    def wait(number, body):
        both.wait(60)

    with FakeEndpoint(hashed, wait) as a, FakeEndpoint(hashed, wait) as b:
        right(results(connected(a, b, under_way=20), MANY[:20]), MANY[:20])
        assert (len(a.asked), len(b.asked)) == (10, 10)


def test_one_prompt_read_otherwise_is_one_answer_lost():
    known = connected_tokenizer()

    def answer(text: str, pictures: list[bytes]) -> dict:
        length = tokens(known, text, pictures)
        return {"text": said(text, pictures), "prompt_tokens": length + ("answer 7 " in text)}

    with FakeEndpoint(answer) as fake:
        found = results(connect(fake.url, tokenizer=str(judge_dir()), under_way=1, pace=PACE), MANY)
    assert [number for number, completion in enumerate(found) if completion.unscored] == [7]
    assert found[7].unscored == "engine_error"
    assert "the server read" in (found[7].note or "")


# Pictures -------------------------------------------------------------------------------------------------------------


def test_a_picture_that_cannot_be_read_is_that_answer_s_reason(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing more")
    prompts = [prompt(n, Picture(tmp_path / name, name)) for n, name in enumerate(["none.png", "broken.png"])]
    with FakeEndpoint(hashed) as fake:
        found = results(connected(fake), [*prompts, *MANY])
    assert [completion.unscored for completion in found[:2]] == ["image_missing", "image_refused"]
    right(found[2:], MANY)


# What is asked before -------------------------------------------------------------------------------------------------


def test_addresses():
    assert addresses("http://a:8000/v1/, http://b/v1#model=x/y") == [
        Address("http://a:8000/v1"),
        Address("http://b/v1", None, "x/y"),
    ]
    assert addresses("https://a/v1#short,https://b/v1#long&model=m") == [
        Address("https://a/v1", "short"),
        Address("https://b/v1", "long", "m"),
    ]


@pytest.mark.parametrize(
    ("judge", "message"),
    [
        ("http://a/v1,http://a/v1", "named twice"),
        ("http://a/v1#short,http://b/v1", "and some do not"),
        ("http://a/v1#middle", "unknown option 'middle'"),
        ("http://", "not an address"),
        ("http://a:b/v1", "not an address"),
        ("http://a/v1?x=1", "not an address"),
        ("http://a/v1,ftp://b/v1", "not an address"),
    ],
)
def test_no_address(judge, message):
    with pytest.raises(UserError, match=message):
        addresses(judge)


def test_what_is_out_of_reach_is_left_out_and_said(capsys):
    with FakeEndpoint(hashed) as gone:
        pass
    with FakeEndpoint(hashed) as fake:
        server = connected(gone, fake)
        assert [str(endpoint.address) for endpoint in server.endpoints] == [fake.url]
        assert f"{gone.url} is left out: cannot be reached" in capsys.readouterr().err
        right(results(server, MANY[:2]), MANY[:2])
    with pytest.raises(UserError, match="cannot be reached"):
        connected(gone)


def test_one_run_has_one_judge():
    with FakeEndpoint(hashed, model="one") as a, FakeEndpoint(hashed, model="two") as b:
        with pytest.raises(UserError, match="differ in their model: one, two"):
            connected(a, b)
        a.cards.append({"id": "two", "owned_by": "vllm"})
        with pytest.raises(UserError, match=r"which model\? it serves one, two\n.*#model=NAME"):
            connected(a)
        assert connect(f"{a.url}#model=two,{b.url}", pace=PACE).identity["judge"] == "two"
        with pytest.raises(UserError, match="it serves one, two"):
            connect(f"{a.url}#model=three", pace=PACE)


def test_a_model_named_by_its_folder_is_named_by_the_folder_s_name():
    with FakeEndpoint(hashed, model="/models/MMIE-Score") as fake:
        assert connected(fake).identity["judge"] == "MMIE-Score"


def test_the_key_goes_with_every_request_and_passwords_are_not_shown(monkeypatch):
    monkeypatch.setenv("MMJUDGE_API_KEY", "sesame")
    with FakeEndpoint(hashed) as fake:
        right(results(connected(fake), MANY[:1]), MANY[:1])
        assert [headers["authorization"] for headers in fake.seen_headers] == ["Bearer sesame"]
    with pytest.raises(UserError) as error:
        connect(fake.url.replace("http://", "http://user:secret@"), pace=PACE)
    assert "secret" not in str(error.value)


def test_several_judges_are_refused_unless_they_are_addresses(tmp_path, capsys):
    file = tmp_path / "a.jsonl"
    file.write_text('{"id": "PBL-9001", "response": "x"}\n')
    arguments = ["score", str(file), "--benchmark", "mmie", "--out", str(tmp_path / "out")]
    assert cli.main([*arguments, "--judge", "a/b", "--judge", "c/d"]) == 2
    assert "--judge is given several times" in capsys.readouterr().err
    assert cli.main([*arguments, "--judge", "http://a/v1", "--judge", "http://a/v1"]) == 2
    assert "named twice" in capsys.readouterr().err


def test_original_bytes_reach_the_server(tmp_path):
    Image.effect_noise((40, 30), 90).convert("RGB").save(tmp_path / "a.jpg", quality=30)
    Image.effect_noise((30, 40), 90).convert("RGB").save(tmp_path / "b.png")
    one = prompt(0, Literal("1 "), Picture(tmp_path / "b.png", "b"), Literal(" 2 "), Picture(tmp_path / "a.jpg", "a"))
    with FakeEndpoint(hashed) as fake:
        right(results(connected(fake), [one]), [one])
