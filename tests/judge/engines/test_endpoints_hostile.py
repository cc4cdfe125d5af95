"""Endpoints that want to be heard for ever, to fill the memory, to be waited for, or to have a key written down."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gzip
import json
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from fake_endpoint import FakeEndpoint, Fault, hashed, said

from judge import cli
from judge.core.request import Request, Text
from judge.core.rubric import Literal
from judge.engines import Prompt, remote
from judge.engines.endpoints import MOST_BYTES, Address, Client, Endpoint, Failed, Refused, Reply, TooLarge, addresses
from judge.engines.messages import chat, message
from judge.engines.remote import Pace, connect
from judge.errors import UserError
from mmie_tasks.demo import demo_dir

KEY = "open-sesame-of-the-judge"
MANY = [
    Prompt(Request(f"q{n}", "PBL", (), (Text(f"answer {n}"),)), (Literal("### Answer\n"), Text(f"answer {n}")))
    for n in range(20)
]


def ask(url: str, seconds: float = 60) -> Reply:
    """One request to one address."""

    async def asked() -> Reply:
        endpoint = Endpoint(Address(url), seconds)
        async with endpoint.opened(1):
            return await endpoint.ask(b"{}")

    return asyncio.run(asked())


# Size -----------------------------------------------------------------------------------------------------------------

ZEROS = 48 << 20
"""Bytes of a reply once unpacked, much more than is allowed."""


def zstd_of_zeros(blocks: int) -> bytes:
    """RFC 8878: magic, no options, a window of 2^(10+7) bytes; blocks of 2^17 times the same byte, four bytes each."""
    block = [((1 << 17) << 3 | 1 << 1 | (n == blocks - 1)).to_bytes(3, "little") + b"0" for n in range(blocks)]
    return b"\x28\xb5\x2f\xfd" + b"\x00" + bytes([7 << 3]) + b"".join(block)


PACKED = {
    "gzip": gzip.compress(bytes(ZEROS)),
    "gzip, gzip": gzip.compress(gzip.compress(bytes(ZEROS))),
    "zstd": zstd_of_zeros(ZEROS >> 17),
    "deflate": b"x",
    "identity, br": b"x",
}


@pytest.mark.parametrize("encoding", PACKED)
def test_a_packed_reply_is_not_unpacked(encoding):
    assert len(PACKED[encoding]) < 64 << 10
    fault = Fault(status=200, headers={"content-encoding": encoding}, body=PACKED[encoding])
    with FakeEndpoint(hashed, lambda number, body: fault) as fake:
        tracemalloc.start()
        with pytest.raises(Failed, match=f"in the encoding {encoding.split(', ')[-1]}"):
            ask(fake.url)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert fake.seen_headers[0]["accept-encoding"] == "identity"
    assert peak < 2 * MOST_BYTES


def test_the_status_of_a_packed_page_counts():
    fault = Fault(status=403, headers={"content-encoding": "gzip"}, body=PACKED["gzip"])
    with (
        FakeEndpoint(hashed, lambda number, body: fault) as fake,
        pytest.raises(Refused, match="403: Forbidden"),
    ):
        ask(fake.url)


@pytest.mark.parametrize("status", [200, 400, 500])
def test_a_long_reply_is_left(status):
    fault = Fault(status=status, body=b'{"error": "' + b"x" * MOST_BYTES + b'"}')
    error = pytest.raises(Failed, match=f"more than {MOST_BYTES} bytes")
    with FakeEndpoint(hashed, lambda number, body: fault) as fake, error:
        ask(fake.url)


# Time -----------------------------------------------------------------------------------------------------------------

OK = b"HTTP/1.1 200 OK\r\n"
ENDLESS = {
    "header lines": (OK, b"x-more: of them\r\n"),
    "one header line": (OK + b"x-more: ", b"x"),
    "no header": (b"", b"H"),
    "go on": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body": (OK + b"content-length: 1000000\r\n\r\n", b" "),
    "body without length": (OK + b"\r\n", b" "),
    "chunks": (OK + b"transfer-encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "chunk extension": (OK + b"transfer-encoding: chunked\r\n\r\n5;", b"x"),
    "trailers": (OK + b"transfer-encoding: chunked\r\n\r\n0\r\n", b"x-more: of them\r\n"),
    "gzip file name": (
        OK + b"content-encoding: gzip\r\n\r\n" + bytes([0x1F, 0x8B, 8, 8, 0, 0, 0, 0, 0, 3]),  # RFC 1952: FNAME
        b"n",
    ),
    "silence": (b"", b""),
}


@contextlib.contextmanager
def dripping(first: bytes, then: bytes, seconds: float) -> Iterator[str]:
    """A server that says `first`, and then `then` again and again for `seconds`; its address."""
    over = threading.Event()

    def serve() -> None:
        with contextlib.suppress(OSError):
            connection, _ = server.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(first)
                end = time.monotonic() + seconds
                while time.monotonic() < end and not over.wait(0.01):
                    connection.sendall(then)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        over.set()
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.mark.parametrize("kind", ENDLESS)
def test_one_clock_runs_over_the_whole_exchange(kind):
    """The server goes on much longer than the clock; that it ended is not what ended the exchange."""
    error = pytest.raises(Failed, match=r"no whole reply in 0\.5 s|in the encoding gzip")
    with dripping(*ENDLESS[kind], seconds=20) as url, error:
        ask(url, seconds=0.5)


# A server that is gone ------------------------------------------------------------------------------------------------


def texts(server, prompts: list[Prompt]) -> list[str | None]:
    found = dict(server.complete(prompts))
    return [found[number].text for number in range(len(prompts))]


def after(first: FakeEndpoint, number: int):
    """A script: right, but not before the other server has been asked so often."""

    def script(*_) -> None:
        deadline = time.monotonic() + 60
        while len(first.asked) < number and time.monotonic() < deadline:
            time.sleep(0.01)

    return script


WANTED = [said(f"### Answer\nanswer {n}", []) for n in range(len(MANY))]


def hang(number, body) -> Fault:
    return Fault("hang")


def set_trouble(fake: FakeEndpoint, trouble: int | str | None) -> None:
    """What becomes of its /health: a status, None for no answer, "retired" where no connection is taken any more."""
    if trouble == "retired":
        fake.retire()
    else:
        fake.health = trouble


@pytest.mark.parametrize("trouble", [None, 500, 503, "retired"])
def test_work_of_a_dead_engine_with_open_connections_goes_to_the_other(monkeypatch, capsys, trouble):
    """One accepts requests and says nothing more: on no page, or that its engine is dead."""
    monkeypatch.setattr(remote, "PROBE_SECONDS", 0.2)

    def then_dead(number, body) -> Fault:
        if number == 3:
            set_trouble(dead, trouble)
        return Fault("hang")

    with FakeEndpoint(hashed, then_dead) as dead, FakeEndpoint(hashed, after(dead, 4)) as other:
        server = connect(f"{dead.url},{other.url}", under_way=4, pace=Pace(patience=60, rest=0.01, probe=0.05))
        assert texts(server, MANY) == WANTED
        assert len(dead.asked) >= 4
        assert dead.held == 0
    assert capsys.readouterr().err.count(f"{dead.url} seems to be dead") == 1


@pytest.mark.parametrize(
    ("trouble", "words"),
    [(None, r"no whole reply in 0\.05 s"), (503, "/health says 503"), ("retired", "cannot be reached")],
)
def test_a_single_endpoint_with_a_dead_engine_ends_the_run_with_what_it_says(monkeypatch, capsys, trouble, words):
    monkeypatch.setattr(remote, "PROBE_SECONDS", 0.05)
    with FakeEndpoint(hashed, hang) as dead:
        server = connect(dead.url, under_way=4, pace=Pace(patience=0.2, rest=0.01, probe=0.02))
        set_trouble(dead, trouble)
        with pytest.raises(UserError, match=rf"20 answers are not judged \({dead.url}: .*{words}"):
            texts(server, MANY)
        assert dead.held == 0
    if trouble != "retired":  # to that the first request cannot be sent
        assert capsys.readouterr().err.count(f"{dead.url} seems to be dead") == 1


def test_a_probe_that_swallows_that_it_is_cancelled_does_not_hold_up_the_end(monkeypatch):
    """As `asyncio.wait_for` does up to Python 3.11 where the answer has just come."""
    asked = threading.Event()

    async def find_trouble(endpoint, seconds) -> None:
        asked.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(600)

    def slow(number, body) -> None:
        assert asked.wait(60)

    monkeypatch.setattr(Endpoint, "find_trouble", find_trouble)
    with FakeEndpoint(hashed, slow) as fake:
        server = connect(fake.url, under_way=20, pace=Pace(patience=60, rest=0.01, probe=0.01))
        assert texts(server, MANY) == WANTED


@pytest.mark.parametrize("health", [200, 404])
def test_a_long_request_at_a_server_that_lives_is_waited_for(health):
    """/health, or where there is no such page the list of models, says so while another one is idle."""
    done = threading.Event()

    def slow(number, body):
        deadline = time.monotonic() + 60
        while one.health_asked < 8 and time.monotonic() < deadline:  # more often than a dead one would be asked
            done.wait(0.01)
        return None

    with FakeEndpoint(hashed, slow) as one, FakeEndpoint(hashed, after(one, 1)) as other:
        one.health = health
        server = connect(f"{one.url},{other.url}", under_way=20, pace=Pace(patience=60, rest=0.01, probe=0.02))
        assert texts(server, MANY) == WANTED
        assert len(one.asked) + len(other.asked) == len(MANY)


def test_a_killed_server_s_requests_come_back_at_once():
    """Connections that end: the four under way are asked again elsewhere, and nobody waits for the reply's time."""
    all_four = threading.Barrier(4)

    def dying(number, body):
        all_four.wait(60)
        return Fault("die")

    with FakeEndpoint(hashed, dying) as dead, FakeEndpoint(hashed, after(dead, 4)) as other:
        server = connect(f"{dead.url},{other.url}", under_way=4, pace=Pace(patience=60, rest=0.01, probe=600))
        assert texts(server, MANY) == WANTED
        assert len(dead.asked) == 4


def test_closing_a_client_ends_what_is_under_way():
    with FakeEndpoint(hashed, hang) as fake:
        client = Client(Address(fake.url), 60, 1)

        def close() -> None:
            while not fake.asked:
                time.sleep(0.01)
            client.close()

        closing = threading.Thread(target=close)
        closing.start()
        for _ in range(2):
            with pytest.raises(Failed, match="the run has ended"):
                client.post("chat/completions", {})
            closing.join()
        assert fake.held == 0
        client.close()


def test_threads_share_a_client():
    with FakeEndpoint(hashed) as fake:
        client = Client(Address(fake.url), 60, 4, most_bytes=1000)
        bodies = [{"model": "the-judge", "messages": chat(message((Literal(f"{n}"),)), "x")} for n in range(8)]
        with ThreadPoolExecutor(8) as pool:
            replies = list(pool.map(lambda body: client.post("chat/completions", body), bodies))
        assert [reply["choices"][0]["message"]["content"] for reply in replies] == [said(f"{n}", []) for n in range(8)]
        fake.script = lambda number, body: Fault(status=200, body=b'{"a": "' + b"x" * 1000 + b'"}')
        with pytest.raises(TooLarge, match="more than 1000 bytes"):
            client.post("chat/completions", {})
        client.close()


# Secrets --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401, 500, 200])
def test_a_server_that_quotes_the_key_does_not_get_it_written_down(status, tmp_path, monkeypatch, capfd):
    """As a proxy's error, and as the text of an answer: neither in a file nor on the screen."""
    monkeypatch.setenv("MMJUDGE_API_KEY", KEY)
    quoted = f"upstream got 'Authorization: Bearer {KEY}' from http://me:my-own-password@proxy/?api_key=abc " * 50
    answers = tmp_path / "answers.jsonl"
    answers.write_text(json.dumps({"id": "PBL-9001", "response": "x"}) + "\n")

    def answer(text: str, pictures: list[bytes]) -> dict:
        return {"text": f"{quoted}\n### Score\n3"}

    def script(number, body):
        return None if status == 200 else Fault(status=status, body=json.dumps({"error": quoted}).encode())

    with FakeEndpoint(answer, script) as fake:
        address = fake.url.replace("http://", "http://me:my-own-password@")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(remote, "LONGEST_REST", 0.01)
            where = ["--benchmark", "mmie", "--data", str(demo_dir()), "--rubric", "mmjudge", "--partial"]
            code = cli.main(["score", str(answers), *where, "--judge", address, "--out", str(tmp_path / "out")])
        assert fake.seen_headers
    assert (code == 0) == (status == 200)
    written = "".join(file.read_text(errors="replace") for file in (tmp_path / "out").rglob("*") if file.is_file())
    screen = "".join(capfd.readouterr())
    secrets = [KEY, "my-own-password"] if status == 200 else [KEY, "my-own-password", "api_key=abc"]
    for text in (written, screen):
        assert not [secret for secret in secrets if secret in text]
    if status in (400, 500):
        note = json.loads((tmp_path / "out" / "verdicts.jsonl").read_text().splitlines()[-1])["details"]["note"]
        number = "400: " if status == 400 else ""
        assert note.startswith(f"{fake.url}: {number}upstream got 'Authorization: Bearer ***' from http://***@proxy/")
        assert len(note) < 500


@pytest.mark.parametrize(
    "judge",
    [
        "http://me:my-own-password@a/v1,http://me:my-own-password@a/v1",
        "http://me:my-own-password@a/v1#middle",
        "ftp://me:my-own-password@a/v1",
        "http://me:my-own-password@a:b/v1",
        "http://a/v1?api_key=my-own-password",
    ],
)
def test_messages_about_addresses_hold_no_password(judge):
    with pytest.raises(UserError) as error:
        addresses(judge)
    assert "my-own-password" not in str(error.value)


def test_what_a_server_says_of_itself_has_an_end():
    with FakeEndpoint(hashed) as fake:
        fake.cards = [{"id": f"{n} \x1b[2J" + "x" * 10_000, "owned_by": "y" * 10_000} for n in range(100)]
        with pytest.raises(UserError, match="and 80 more") as error:
            connect(fake.url, pace=dataclasses.replace(Pace(), patience=0.1))
        assert len(str(error.value)) < 10_000
        assert "\x1b" not in str(error.value)
